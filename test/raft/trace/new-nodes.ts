import type { RaftConfig, RaftId, Snapshot } from '../../../src/raft/core/types.ts';
import { idsFrom, isOn, numberFrom, numberOption, OutOfScope } from './arguments.ts';
import type { Directive } from './trace-file.ts';

const sizeOption = (directive: Directive, key: string): number =>
  numberOption(directive, key, 0) || Infinity;

/** The settings that the options of `add-nodes` name; without limits and extras if they name none. */
function configFrom(id: RaftId, directive: Directive): RaftConfig {
  if (isOn(directive, 'async-storage-writes')) throw new OutOfScope('asynchronous storage writes');
  if (directive.options.get('read-only')?.[0] === 'lease-based') {
    throw new OutOfScope('lease-based reads');
  }
  if (isOn(directive, 'disable-conf-change-validation')) throw new OutOfScope('joint consensus');
  const messageBytesMax = sizeOption(directive, 'max-size-per-msg');
  return {
    id,
    electionTicks: numberOption(directive, 'election-tick', 3),
    heartbeatTicks: numberOption(directive, 'heartbeat-tick', 1),
    messageBytesMax,
    applyBytesMax: numberOption(directive, 'max-committed-size-per-ready', messageBytesMax),
    uncommittedBytesMax: sizeOption(directive, 'max-uncommitted-size'),
    inflightMessagesMax: sizeOption(directive, 'inflight'),
    inflightBytesMax: sizeOption(directive, 'max-inflight-bytes'),
    checksQuorum: isOn(directive, 'checkquorum'),
    asksBeforeElection: isOn(directive, 'prevote'),
    concedesPreElections: isOn(directive, 'concede'),
    forwardsProposals: !isOn(directive, 'disable-proposal-forwarding'),
    stepsDownOnRemoval: isOn(directive, 'step-down-on-removal'),
    // Timeouts that matter are set by commands.
    random: () => 0,
  };
}

/** The members an `add-nodes` asks for: those of a configuration begin with a snapshot of it. */
export function newNodes(
  firstId: RaftId,
  directive: Directive,
): ReadonlyArray<{ readonly config: RaftConfig; readonly boot: Snapshot }> {
  const { words, options } = directive;
  const [voters, learners] = [idsFrom(options.get('voters')), idsFrom(options.get('learners'))];
  const isMember = voters.length + learners.length > 0;
  const boot: Snapshot = {
    index: isMember ? numberOption(directive, 'index', 0) : 0,
    term: isMember ? 1 : 0,
    confState: { voters, learners },
    data: Buffer.from(options.get('content')?.[0] ?? ''),
  };
  return Array.from({ length: numberFrom(words[0]) }, (_, position) => {
    const id = String(Number(firstId) + position) as RaftId; // Members are numbered from 1.
    return { config: configFrom(id, directive), boot };
  });
}

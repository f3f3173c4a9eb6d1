import type { Message, MessageType, RaftId } from '../../../src/raft/core/types.ts';
import { aMessage } from '../../support/raft-network.ts';
import { idFrom, idsFrom, numberFrom, OutOfScope } from './arguments.ts';
import { encodeChange, encodeChangeV2, parseChanges } from './changes.ts';
import { formatRefusal, type TraceEnvironment } from './environment.ts';
import {
  formatConfState,
  formatEntries,
  formatMessage,
  formatProgress,
  formatRole,
  indent,
} from './format.ts';
import { newNodes } from './new-nodes.ts';
import type { TraceNode } from './trace-node.ts';
import type { CommandTable, Directive, TraceCase } from './trace-file.ts';

/** The commands of etcd's rafttest, and those of recorded scripts, on one environment. */
export function interactionCommands(env: TraceEnvironment): CommandTable {
  return { ...inputs(env), ...deliveries(env), ...storage(env), ...reports(env) };
}

/** A command that acts on the member its first word names, and prints nothing. */
const onNode =
  (env: TraceEnvironment, act: (node: TraceNode, directive: Directive) => void) =>
  ({ directive }: TraceCase): string => {
    act(env.node(idFrom(directive.words[0])), directive);
    return '';
  };

function tickTimes(count: number, node: TraceNode): void {
  for (let n = 0; n < count; n += 1) node.core.tick();
}

/** What a member is told to do. */
function inputs(env: TraceEnvironment): CommandTable {
  return {
    'add-nodes': ({ directive }) => {
      for (const { config, boot } of newNodes(env.nextId, directive)) env.add(config, boot);
      return '';
    },
    campaign: onNode(env, ({ core }) => {
      core.campaign();
    }),
    propose: ({ directive: { words } }) => {
      const data = words[1] === '""' ? '' : (words[1] ?? '');
      return formatRefusal(env.node(idFrom(words[0])).core.propose(Buffer.from(data)));
    },
    'propose-conf-change': (one) => proposeChange(env, one),
    'tick-election': onNode(env, (node) => {
      tickTimes(node.config.electionTicks, node);
    }),
    'tick-heartbeat': onNode(env, (node) => {
      tickTimes(node.config.heartbeatTicks, node);
    }),
    tick: onNode(env, ({ core }, { options }) => {
      for (let n = numberFrom(options.get('n')?.[0]); n > 0; n -= 1) {
        core.setElectionTimeout(numberFrom(options.get('timeout')?.[0]));
        core.tick();
      }
    }),
    'set-randomized-election-timeout': onNode(env, ({ core }, { options }) => {
      core.setElectionTimeout(numberFrom(options.get('timeout')?.[0]));
    }),
    'transfer-leadership': ({ directive: { options } }) => {
      const [from, to] = [idFrom(options.get('from')?.[0]), idFrom(options.get('to')?.[0])];
      env.node(from).core.transferLeadership(to);
      return '';
    },
    'forget-leader': onNode(env, ({ core }) => {
      core.forgetLeader();
    }),
    'leader-gone': onNode(env, ({ core }, { words }) => {
      core.leaderGone(idFrom(words[1]));
    }),
    'step-down': onNode(env, ({ core }) => {
      core.stepDown();
    }),
    'read-index': onNode(env, ({ core }, { words }) => {
      core.readIndex(Buffer.from(words[1] ?? ''));
    }),
    'report-unreachable': onNode(env, ({ core }, { words }) => {
      core.reportUnreachable(idFrom(words[1]));
    }),
    'report-snapshot': onNode(env, ({ core }, { words, options }) => {
      core.reportSnapshot(idFrom(words[1]), options.get('status')?.[0] === 'ok');
    }),
  };
}

function proposeChange(env: TraceEnvironment, { directive, input }: TraceCase): string {
  const { words, options } = directive;
  const changes = parseChanges(input);
  const [change] = changes;
  const isAuto = (options.get('transition')?.[0] ?? 'auto') === 'auto';
  if (change === undefined || changes.length > 1 || !isAuto) {
    throw new OutOfScope('joint consensus');
  }
  const { core } = env.node(idFrom(words[0]));
  return formatRefusal(
    options.get('v1')?.[0] === 'true'
      ? core.proposeConfChange(encodeChange(change))
      : core.proposeConfChange(encodeChangeV2(change), 'EntryConfChangeV2'),
  );
}

/** What becomes of Readies and messages. */
function deliveries(env: TraceEnvironment): CommandTable {
  const allIds = (): RaftId[] => env.nodes.map(({ config }) => config.id);
  return {
    'process-ready': ({ directive: { words } }) => {
      const ids = idsFrom(words);
      const [only] = ids;
      if (only !== undefined && ids.length === 1) return env.processReady(env.node(only));
      return ids
        .map((id) => `> ${id} handling Ready\n${indent(env.processReady(env.node(id)))}`)
        .join('');
    },
    'deliver-msgs': ({ directive: { words, options } }) => {
      // A trace names only types that exist.
      const type = options.get('type')?.[0] as MessageType | undefined;
      const lines = [
        ...idsFrom(words).flatMap((id) => env.deliver(id, type)),
        ...idsFrom(options.get('drop')).flatMap((id) => env.drop(id, type)),
      ];
      return lines.length === 0 ? 'no messages' : lines.join('');
    },
    stabilize: ({ directive: { words } }) =>
      env.stabilize(words.length === 0 ? allIds() : idsFrom(words)),
    'deliver-one': ({ directive: { words } }) => {
      const message = env.takeAt(numberFrom(words[0]));
      return `${formatMessage(message)}\n${formatRefusal(env.step(message))}`;
    },
    'drop-one': ({ directive: { words } }) => formatMessage(env.takeAt(numberFrom(words[0]))),
    'dup-one': ({ directive: { words } }) => {
      const message = env.peekAt(numberFrom(words[0]));
      env.send([message]);
      return formatMessage(message);
    },
    'send-snapshot': ({ directive: { words } }) => {
      const [from, to] = [idFrom(words[0]), idFrom(words[1])];
      const { core, newestSnapshot: snapshot } = env.node(from);
      const term = core.status.currentTerm;
      const message: Message = aMessage({ type: 'MsgSnap', from, to, term, snapshot });
      env.send([message]);
      return formatMessage(message);
    },
  };
}

/** What happens to a disk. */
function storage(env: TraceEnvironment): CommandTable {
  return {
    compact: ({ directive: { words } }) => {
      const node = env.node(idFrom(words[0]));
      node.disk.compact(numberFrom(words[1]));
      return logOf(node);
    },
    'compact-snap': ({ directive: { words } }) => {
      const node = env.node(idFrom(words[0]));
      node.keepSnapshot(numberFrom(words[1]));
      return logOf(node);
    },
    restart: ({ directive: { words } }) => {
      const id = idFrom(words[0]);
      env.forgetMessagesToSelf(id);
      env.node(id).restart();
      return '';
    },
  };
}

/** What a member is asked to show. */
function reports(env: TraceEnvironment): CommandTable {
  return {
    'log-level': ({ directive: { words } }) => {
      env.isQuiet = words[0] === 'none';
      return '';
    },
    'raft-log': ({ directive: { words } }) => logOf(env.node(idFrom(words[0]))),
    'raft-state': () => env.nodes.map(stateOf).join(''),
    'raft-state-full': () => env.nodes.map(fullStateOf).join(''),
    status: ({ directive: { words } }) => progressOf(env.node(idFrom(words[0]))),
  };
}

function logOf({ disk }: TraceNode): string {
  const [first, last] = [disk.firstIndex(), disk.lastIndex()];
  if (last < first) return `log is empty: first index=${first}, last index=${last}`;
  return formatEntries(disk.entries(first, last + 1, Infinity) ?? []);
}

function stateOf({ config: { id }, core }: TraceNode): string {
  const { role, currentTerm, leaderId } = core.status;
  const vote = core.confState.voters.includes(id) ? 'Voter' : 'Non-Voter';
  return `${id}: ${formatRole(role)} (${vote}) Term:${currentTerm} Lead:${leaderId ?? 0}\n`;
}

function fullStateOf({ config: { id }, core, disk }: TraceNode): string {
  const { status } = core;
  const parts = [
    `${id}: ${formatRole(status.role)}`,
    `Term:${status.currentTerm} Vote:${status.votedFor ?? 0}`,
    `Commit:${status.commitIndex} Applied:${status.lastApplied}`,
    `Lead:${status.leaderId ?? 0} Transferee:${status.transferee ?? 0}`,
    `Stable:[${disk.firstIndex()},${disk.lastIndex()}]`,
    `Config:${formatConfState(core.confState)}`,
  ];
  return `${parts.join(' ')}\n`;
}

/** The others as a leader sees them, in the order of their IDs; of anybody else nothing. */
function progressOf({ core }: TraceNode): string {
  if (core.status.role !== 'leader') return '';
  const { voters, learners } = core.confState;
  return [...voters, ...learners]
    .toSorted((a, b) => Number(a) - Number(b))
    .map((id) => {
      const progress = core.progressOf(id);
      return progress === undefined ? '' : `${formatProgress(id, progress)}\n`;
    })
    .join('');
}

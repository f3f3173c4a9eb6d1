import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ConfChange, Entry } from '../../../src/raft/core/types.ts';
import { aRaftConfig, raftId } from '../../support/raft-network.ts';
import { RaftSchedule, type ScheduledPeer } from '../../support/raft-schedule.ts';

/** One thing that happens; the number chooses the member or the message it happens to. */
const step = fc.record({
  number: fc.nat({ max: 999 }),
  what: fc.oneof(
    { weight: 30, arbitrary: fc.constant('deliver' as const) },
    { weight: 20, arbitrary: fc.constant('handle' as const) },
    { weight: 8, arbitrary: fc.constant('handle while one arrives' as const) },
    { weight: 8, arbitrary: fc.constant('tick' as const) },
    { weight: 6, arbitrary: fc.constant('propose' as const) },
    { weight: 5, arbitrary: fc.constant('drop' as const) },
    { weight: 5, arbitrary: fc.constant('repeat' as const) },
    { weight: 4, arbitrary: fc.constant('change' as const) },
    { weight: 3, arbitrary: fc.constant('settle' as const) },
    { weight: 3, arbitrary: fc.constant('read' as const) },
    { weight: 2, arbitrary: fc.constant('crash' as const) },
    { weight: 2, arbitrary: fc.constant('crash while saving' as const) },
    { weight: 2, arbitrary: fc.constant('crash once saved' as const) },
    { weight: 2, arbitrary: fc.constant('compact' as const) },
    { weight: 2, arbitrary: fc.constant('campaign' as const) },
    { weight: 2, arbitrary: fc.constant('leader gone' as const) },
    { weight: 1, arbitrary: fc.constant('transfer' as const) },
    { weight: 1, arbitrary: fc.constant('step down' as const) },
  ),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const changes = [
  'ConfChangeAddNode',
  'ConfChangeRemoveNode',
  'ConfChangeAddLearnerNode',
] as const satisfies ReadonlyArray<ConfChange['type']>;

function take(schedule: RaftSchedule, { what, number }: Step): void {
  const { peers } = schedule;
  const peer = schedule.peer((number % peers.length) + 1);
  const rest = Math.floor(number / peers.length);
  const other = raftId((rest % peers.length) + 1);
  const leader = schedule.leaders[0] ?? peer;
  const actions: Record<Step['what'], () => void> = {
    deliver: () => {
      schedule.deliver(number);
    },
    handle: () => {
      schedule.handle(peer);
    },
    'handle while one arrives': () => {
      schedule.handleMeanwhile(peer, rest);
    },
    tick: () => {
      for (let n = 0; n < 3; n += 1) peer.node.tick();
    },
    propose: () => {
      schedule.propose(leader);
    },
    drop: () => {
      schedule.drop(number);
    },
    repeat: () => {
      schedule.repeat(number);
    },
    change: () => {
      schedule.change(leader, { type: changes[rest % 3] ?? 'ConfChangeAddNode', raftId: peer.id });
    },
    settle: () => {
      schedule.settle();
    },
    read: () => {
      schedule.read(peer);
    },
    crash: () => {
      peer.crash();
    },
    'crash while saving': () => {
      schedule.handle(peer, 'begun');
    },
    'crash once saved': () => {
      schedule.handle(peer, 'saved');
    },
    compact: () => {
      peer.compact();
    },
    campaign: () => {
      peer.node.campaign();
    },
    'leader gone': () => {
      const { leaderId } = peer.node.status;
      if (leaderId !== undefined) peer.node.leaderGone(leaderId);
    },
    transfer: () => {
      leader.node.transferLeadership(other);
    },
    'step down': () => {
      peer.node.stepDown();
    },
  };
  actions[what]();
}

/** Draws that differ from each other, unlike those that shrink towards zero: else votes split for ever. */
function seededDraws(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The members that count, by the newest configuration anybody has applied. */
function membersOf({ peers }: RaftSchedule): readonly ScheduledPeer[] {
  const newest = peers.toSorted((a, b) => b.node.status.lastApplied - a.node.status.lastApplied)[0];
  const ids = newest?.node.confState.voters ?? [];
  return peers.filter(({ id }) => ids.includes(id));
}

const isTheEnd = (entry: Entry | undefined): boolean => entry?.data.toString() === 'the end';

/** Lets time pass and everything arrive, until all members have applied a last entry. */
function recovers(schedule: RaftSchedule): boolean {
  const isDone = (): boolean => {
    const members = membersOf(schedule);
    return members.length > 0 && members.every(({ lastTaken }) => isTheEnd(lastTaken));
  };
  for (let round = 0; round < 200 && !isDone(); round += 1) {
    for (const { node } of schedule.peers) for (let n = 0; n < 2; n += 1) node.tick();
    schedule.settle();
    for (const { node } of schedule.leaders) node.propose(Buffer.from('the end'));
    schedule.settle();
  }
  return isDone();
}

/** How many times the usual number of histories: for a long search. */
const effort = Number(process.env['RAFT_SCHEDULES'] ?? 1);

describe('over a network that loses, repeats and reorders, on disks that keep what was synced', () => {
  test.each([
    { founders: 3, all: 5, runs: 60 },
    { founders: 5, all: 7, runs: 30 },
  ])(
    'the rules of Figure 3 hold for $founders members that come and go; left alone, they agree',
    ({ founders, all, runs }) => {
      fc.assert(
        fc.property(
          fc.array(step, { maxLength: 300, size: 'max' }),
          fc.boolean(),
          fc.nat(),
          (steps, isCareful, seed) => {
            const random = seededDraws(seed);
            const schedule = new RaftSchedule(founders, all, (number) =>
              aRaftConfig(number, {
                electionTicks: 5,
                checksQuorum: isCareful,
                asksBeforeElection: isCareful,
                concedesPreElections: isCareful,
                inflightMessagesMax: 3,
                messageBytesMax: 40,
                random,
              }),
            );
            for (const one of steps) take(schedule, one);
            expect(recovers(schedule)).toBe(true);
          },
        ),
        // To shrink what follows from chance takes minutes and finds little; the seed tells enough.
        { numRuns: runs * effort, endOnFailure: true },
      );
    },
    60_000 * effort,
  );
});

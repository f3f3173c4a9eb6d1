import type { Entry, RaftId } from '../../../../src/raft/core/types.ts';
import { decodeMemberChange, type MemberChange } from '../../../../src/raft/wire.ts';
import type { Kernel } from '../../kernel/kernel.ts';

/** Who takes part from an entry of the log on, until the next that changes it. */
export interface Configuration {
  readonly since: number;
  readonly voters: ReadonlySet<RaftId>;
  readonly learners: ReadonlySet<RaftId>;
  /** Gone for ever. */
  readonly removed: ReadonlySet<RaftId>;
  /** The node of each that takes part. */
  readonly nodes: ReadonlyMap<RaftId, string>;
}

const nobody: Configuration = {
  since: 0,
  voters: new Set(),
  learners: new Set(),
  removed: new Set(),
  nodes: new Map(),
};

/**
 * Whether those that are there are a majority of the voters. A learner that is not may be a voter in
 * the next moment: the change that makes it one may be under way.
 */
export function hasMajority(
  { voters, learners }: Configuration,
  isThere: (id: RaftId) => boolean,
): boolean {
  const there = [...voters].filter(isThere).length;
  const gone = [...learners].filter((id) => !isThere(id)).length;
  return 2 * there > voters.size + gone;
}

/** Who took part when, worked out from the committed log alone. Thesis §4.1 */
export class Configurations {
  readonly #kernel: Kernel;
  readonly #all: Configuration[] = [nobody];
  readonly #ids = new Set<RaftId>();
  /** Called with each change. */
  onChange: (before: Configuration, after: Configuration) => void = () => undefined;
  /** Learners that became voters, and voters that went. */
  promotions = 0;
  removals = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** It begins with one member alone. */
  begin(since: number, raftId: RaftId, nodeId: string): void {
    this.#all.push({
      ...nobody,
      since,
      voters: new Set([raftId]),
      nodes: new Map([[raftId, nodeId]]),
    });
    this.#ids.add(raftId);
  }

  /** Whether somebody is, or was, a member. */
  knows(id: RaftId): boolean {
    return this.#ids.has(id);
  }

  get newest(): Configuration {
    return this.#all.at(-1) ?? nobody;
  }

  /** The newest, and the one before: not all leaders have applied the newest. */
  get lastTwo(): readonly Configuration[] {
    return this.#all.slice(-2);
  }

  /** The configuration once everything up to an entry is applied. */
  at(index: number): Configuration {
    return this.#all.findLast(({ since }) => since <= index) ?? nobody;
  }

  /** Those by which the leader may have counted when it committed an entry: it applies a little later. */
  *countedBy(index: number): Generator<Configuration> {
    const now = this.#all.findLastIndex(({ since }) => since < index);
    for (const each of this.#all.slice(Math.max(0, now - 1), now + 1)) yield each;
  }

  /** An entry is committed. */
  take({ index, data }: Entry): void {
    const before = this.newest;
    const after = changed(before, index, decodeMemberChange(data));
    if (after === undefined) return;
    this.#all.push(after);
    for (const id of after.nodes.keys()) this.#ids.add(id);
    this.onChange(before, after);
    const promoted = [...after.voters].filter((id) => !before.voters.has(id));
    const gone = [...before.voters].filter((id) => !after.voters.has(id));
    if (before.since > 0) this.promotions += promoted.length;
    this.removals += gone.length;
    if (promoted.length + gone.length <= 1) return;
    this.#kernel.violate(
      'majorities-overlap',
      `entry ${index} makes ${promoted.join(', ')} voters, and ${gone.join(', ')} none`,
    );
  }
}

/** @returns `undefined`, if a change has no effect */
function changed(
  { voters, learners, removed, nodes }: Configuration,
  since: number,
  { type, raftId, member }: MemberChange,
): Configuration | undefined {
  if (removed.has(raftId)) return undefined;
  const without = (ids: ReadonlySet<RaftId>): Set<RaftId> =>
    new Set([...ids].filter((id) => id !== raftId));
  if (type === 'ConfChangeRemoveNode') {
    if (!nodes.has(raftId) || nodes.size === 1) return undefined;
    return {
      since,
      voters: without(voters),
      learners: without(learners),
      removed: new Set([...removed, raftId]),
      nodes: new Map([...nodes].filter(([id]) => id !== raftId)),
    };
  }
  if (type === 'ConfChangeUpdateNode' || member === undefined) return undefined;
  const isTaken = [...nodes].some(([id, nodeId]) => id !== raftId && nodeId === member.nodeId);
  if (isTaken) return undefined;
  const isVoter = type === 'ConfChangeAddNode';
  return {
    since,
    voters: isVoter ? new Set([...voters, raftId]) : without(voters),
    learners: isVoter ? without(learners) : new Set([...learners, raftId]),
    removed,
    nodes: new Map([...nodes, [raftId, member.nodeId]]),
  };
}

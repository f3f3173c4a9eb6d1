import type { ProcessRaftMessageRequest } from '../../../../src/api/gen/types.ts';
import { messageFromWire, type RaftDriver, type RaftId } from '../../../../src/raft/index.ts';
import type { Kernel, Life } from '../../kernel/kernel.ts';
import type { Marks } from '../../kernel/marks.ts';
import type { Disk } from '../../ports/disk.ts';
import { CommittedLog } from './committed-log.ts';
import { Configurations } from './configurations.ts';
import { Elections } from './elections.ts';
import { MemberRules, newRecord, type MemberRecord } from './member-rules.ts';
import { MessageRules } from './message-rules.ts';

/**
 * A leader that hears from no majority goes within two election timeouts, of ticks that may be five
 * times as long on a slow disk, and of a clock that may be slow.
 */
const deposedMsMax = 15_000;

/** A log on disk is at most so much longer than a snapshot's period: writing one takes its time. */
const lengthSlack = 2_000;

/** A manager's host, as far as Raft is concerned. */
interface Seat {
  readonly name: string;
  readonly disk: Disk;
  readonly life: Life;
}

/** What Raft promises, of all members together. Raft Figure 3, thesis §4, §6.4 */
export class RaftRules {
  readonly committed: CommittedLog;
  readonly configurations: Configurations;
  readonly elections: Elections;
  readonly #kernel: Kernel;
  readonly #marks: Marks;
  readonly #messages: MessageRules;
  readonly #records = new Map<RaftId, MemberRecord>();
  readonly #running = new Map<Seat, MemberRules>();
  /** Since when a newer leader serves beside one that goes on as one. */
  readonly #deposed = new Map<MemberRules, number>();
  #seats: readonly Seat[] = [];
  /** What a disk that was lost had held. */
  readonly #lost = new Map<RaftId, number>();
  #logMax = Infinity;
  /** What was let through in this step. */
  readonly #reads: { readonly name: string; readonly raftId: RaftId; readonly askedAt: number }[] =
    [];

  constructor(kernel: Kernel, marks: Marks) {
    this.#kernel = kernel;
    this.#marks = marks;
    this.committed = new CommittedLog(kernel);
    this.configurations = new Configurations(kernel);
    this.elections = new Elections(kernel, marks);
    const diskOf = (id: RaftId): Disk | undefined =>
      this.#seats.find(({ disk }) => disk.raftId === id)?.disk;
    const { committed, elections } = this;
    this.#messages = new MessageRules({ kernel, marks, committed, elections, diskOf });
  }

  /** Who there is to be watched; a snapshot is taken after so many entries. */
  meet(seats: readonly Seat[], snapshotEntries: number): void {
    this.#seats = seats;
    this.#logMax = 2 * snapshotEntries + lengthSlack;
    for (const seat of seats) {
      const { disk } = seat;
      // Whom a rebuilt group has left behind may go on, in the eyes of the rules of before.
      const { onDurable, onErased } = disk;
      disk.onDurable = (batch) => {
        onDurable(batch);
        const running = this.#running.get(seat);
        if (running !== undefined) running.saving(batch);
        // A founder saves before it runs.
        const isFounding = running === undefined && this.committed.lastIndex === 0;
        if (isFounding && disk.raftId !== undefined) this.#recordOf(disk.raftId).term = 1;
      };
      disk.onErased = (raftId, durableIndex) => {
        onErased(raftId, durableIndex);
        this.#lost.set(raftId, durableIndex);
      };
    }
  }

  /** The group begins with one member, which has all up to an entry. */
  begin(as: {
    readonly index: number;
    readonly term: number;
    readonly raftId: RaftId;
    readonly nodeId: string;
  }): void {
    const { index, term, raftId, nodeId } = as;
    this.committed.begin(index, term);
    this.configurations.begin(index, raftId, nodeId);
    this.elections.begun.add(term);
    this.#recordOf(raftId).term = term;
  }

  /** A process has opened its log. */
  opened(seat: Seat, raft: RaftDriver): void {
    const { raftId } = raft.status();
    const { committed, configurations, elections } = this;
    const { name, disk } = seat;
    const onCommitted = (index: number): void => {
      this.#checkDurable(index, name);
    };
    const kernel = this.#kernel;
    const marks = this.#marks;
    // One that has never acknowledged anything may begin anew; how it has voted is not forgotten.
    const isAnew = disk.durableState.currentTerm === 0 && !this.#messages.hasSpoken(raftId);
    if (isAnew) this.#records.delete(raftId);
    const deps = {
      kernel,
      marks,
      name,
      disk,
      committed,
      configurations,
      elections,
      hasVoted: this.#messages.hasVoted.bind(this.#messages),
      onCommitted,
    };
    this.#running.set(seat, new MemberRules(deps, raft, this.#recordOf(raftId)));
    this.#holdReads(raft, seat.name);
  }

  /** Whether a member was ever sent a snapshot. */
  hasTakenSnapshot(id: RaftId): boolean {
    return this.#records.get(id)?.hasTakenSnapshot === true;
  }

  closed(seat: Seat): void {
    this.#running.delete(seat);
  }

  /** After a step of the world. */
  look(): void {
    for (const [seat, rules] of this.#running) {
      const { disk, name } = seat;
      rules.look();
      this.#checkDeposed(seat, rules);
      if (disk.length <= this.#logMax) continue;
      this.#kernel.violate('logs-are-bounded', `${name} holds ${disk.length} entries`);
    }
    this.#checkReads();
  }

  /** A leader that was replaced notices. Thesis §6.2 */
  #checkDeposed({ name, life }: Seat, rules: MemberRules): void {
    const { leadership } = rules;
    const isOld = leadership !== undefined && leadership.term < this.elections.servedTerm;
    if (leadership !== undefined && !isOld) this.elections.servedTerm = leadership.term;
    if (!isOld || life.isPaused) {
      if (this.#deposed.size > 0) this.#deposed.delete(rules);
      return;
    }
    const since = this.#deposed.get(rules) ?? this.#kernel.now;
    this.#deposed.set(rules, since);
    if (this.#kernel.now - since <= deposedMsMax) return;
    this.#kernel.violate(
      'deposed-leaders-go',
      `${name} still leads in term ${leadership.term}, ${deposedMsMax} ms after another`,
    );
  }

  /** A message leaves. */
  sent({ message }: ProcessRaftMessageRequest): void {
    if (message !== null) this.#messages.sent(messageFromWire(message));
  }

  /** What somebody applies for the first time is on the disks of a majority. */
  #checkDurable(index: number, name: string): void {
    const counts: string[] = [];
    for (const { voters } of this.configurations.countedBy(index)) {
      if (voters.size === 0) return; // The first entry of all makes the founder a member.
      const holders = [...voters].filter((id) => this.#holds(id, index));
      if (2 * holders.length > voters.size) return;
      counts.push(`${holders.length} of ${voters.size}`);
    }
    this.#kernel.violate(
      'nothing-is-told-before-it-is-durable',
      `${name} applies entry ${index}, which is on ${counts.join(', or ')} disks`,
    );
  }

  #holds(id: RaftId, index: number): boolean {
    if ((this.#lost.get(id) ?? 0) >= index) return true;
    return this.#seats.some(({ disk }) => disk.raftId === id && disk.durableIndex >= index);
  }

  /**
   * A read that is let through sees all that anybody had applied when it was asked for; a majority
   * has followed its leader since then. Thesis §6.4
   */
  #holdReads(raft: RaftDriver, name: string): void {
    const confirm = raft.confirmLeadership.bind(raft);
    raft.confirmLeadership = async (signal) => {
      const due = this.committed.lastIndex;
      const askedAt = this.#kernel.now;
      await confirm(signal);
      const { raftId, lastApplied } = raft.status();
      if (lastApplied < due) {
        this.#kernel.violate(
          'reads-are-current',
          `${name} reads at ${lastApplied}, and ${due} was committed before it was asked`,
        );
      }
      this.#reads.push({ name, raftId, askedAt });
    };
  }

  /** A change of the group confirms what waits, too: it is known once everybody was looked at. */
  #checkReads(): void {
    for (const { name, raftId, askedAt } of this.#reads.splice(0)) {
      const isConfirmed = this.configurations.lastTwo.some(({ voters }) => {
        const since = [...voters].filter((id) => this.#messages.hasAnswered(id, raftId, askedAt));
        return 2 * since.length > voters.size;
      });
      if (isConfirmed) continue;
      this.#kernel.violate(
        'reads-are-current',
        `${name} reads, and no majority has answered since`,
      );
    }
  }

  #recordOf(id: RaftId): MemberRecord {
    const known = this.#records.get(id);
    if (known !== undefined) return known;
    const record = newRecord();
    this.#records.set(id, record);
    return record;
  }
}

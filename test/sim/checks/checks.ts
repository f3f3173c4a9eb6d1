import { compareStates, isEqual, isTerminal, type Task } from '../../../src/api/index.ts';
import type {
  AssignmentsMessage,
  ProcessRaftMessageRequest,
  UpdateTaskStatusRequest,
} from '../../../src/api/gen/types.ts';
import type { StoreEvent } from '../../../src/manager/store/events.ts';
import type { Rebuilt } from '../../../src/manager/membership/rebuild.ts';
import { decodeRequest } from '../../../src/manager/store/log-entry.ts';
import { Store } from '../../../src/manager/store/store.ts';
import { raftIdFrom, Replay } from '../../../src/raft/index.ts';
import type { Subscription } from '../../../src/runtime/index.ts';
import { type Kernel, Life } from '../kernel/kernel.ts';
import type { Mark, Marks } from '../kernel/marks.ts';
import type { Call } from '../ports/call.ts';
import type { Party } from '../ports/host.ts';
import type { EngineWatch, SimEngine } from '../ports/engine.ts';
import type { AgentHost } from '../world/agent-host.ts';
import type { ManagerHost, Running } from '../world/manager-host.ts';
import type { Setting } from '../world/setting.ts';
import { Age } from './age.ts';
import { AssignmentRules } from './assignment-rules.ts';
import { byEntry, type Entry, type Ledger } from './ledger.ts';
import type { NodeRules } from './node-rules.ts';
import { QuorumRules } from './raft/quorum-rules.ts';
import type { RaftRules } from './raft/raft-rules.ts';
import { RebuildRules } from './rebuild-rules.ts';
import { type Leadership, SilenceRules } from './silence-rules.ts';
import type { TaskRules } from './task-rules.ts';

interface Watched {
  readonly host: ManagerHost;
  readonly running: Running;
  readonly age: Age;
  readonly changes: Subscription<StoreEvent>;
  /** The last entry that its store has told of, or has begun with. */
  lastIndex: number;
  /** Whether it has been compared since it came back. */
  isCompared: boolean;
}

/** An agent may have been told a moment ago to be without a task that has been given to it since. */
const newMs = 2_000;

/** Holds a world to what the product promises: at every step, of everything that can be seen. */
export class Checks implements EngineWatch {
  /** Services of which two tasks may run in one slot for a while. */
  readonly overlaps = new Set<string>();
  /** Whether some service is being updated. */
  isUpdating = false;
  quorum: QuorumRules;
  #silence: SilenceRules | undefined;
  /** Called with each rebuild, once it has its rules. */
  onRebuilt: () => void = () => undefined;
  rebuilds = 0;
  /** One, and another for each rebuild. */
  readonly #ages: Age[];
  #seats: readonly ManagerHost[] = [];
  #snapshotEntries = 0;
  readonly #kernel: Kernel;
  readonly #marks: Marks;
  readonly #watched = new Map<ManagerHost, Watched>();
  readonly #engines = new Map<string, SimEngine>();
  readonly #down = new Set<string>();
  readonly #assignments: AssignmentRules;

  constructor(kernel: Kernel, marks: Marks) {
    this.#kernel = kernel;
    this.#assignments = new AssignmentRules(kernel);
    this.#marks = marks;
    this.#ages = [new Age(kernel, marks, this.overlaps)];
    this.quorum = new QuorumRules(kernel, [], () => this.#age);
  }

  /** What holds since the last rebuild. */
  get #age(): Age {
    return this.#ages.at(-1) as Age; // There is one from the beginning.
  }

  get ledger(): Ledger {
    return this.#age.ledger;
  }

  get raft(): RaftRules {
    return this.#age.raft;
  }

  get tasks(): TaskRules {
    return this.#age.tasks;
  }

  get nodes(): NodeRules {
    return this.#age.nodes;
  }

  /** The number of the age that a manager is in; that of a stranger is the newest. */
  ageOf(host: ManagerHost): number {
    return (this.#watched.get(host)?.age ?? this.#age).number;
  }

  /** How often the group has changed. */
  get turns(): { readonly promotions: number; readonly removals: number } {
    const all = this.#ages.map(({ raft }) => raft.configurations);
    return {
      promotions: all.reduce((sum, { promotions }) => sum + promotions, 0),
      removals: all.reduce((sum, { removals }) => sum + removals, 0),
    };
  }

  /** Whether a manager was left behind by the newest rebuild, and goes on. */
  isBehind(host: ManagerHost): boolean {
    return this.ageOf(host) !== this.#age.number;
  }

  /** Who there is to be watched. */
  meet(managers: readonly ManagerHost[], agents: readonly AgentHost[], setting: Setting): void {
    const { snapshotEntries } = setting;
    this.#seats = managers;
    this.#snapshotEntries = snapshotEntries;
    if (managers.length > 1) this.ledger.remember();
    this.raft.meet(managers, snapshotEntries);
    this.quorum = new QuorumRules(this.#kernel, managers, () => this.#age);
    this.#silence = new SilenceRules(this.#kernel, managers, agents, setting);
    for (const { engine } of agents) this.joined(engine);
  }

  /** An Engine is another node's from now on. */
  joined(engine: SimEngine): void {
    this.#engines.set(engine.nodeId, engine);
  }

  /** A manager that does not run is about to go on alone with another log in place of the one it has. */
  rebuilt({ host, disk }: ManagerHost, next: Rebuilt): void {
    this.step();
    const store = new Store({ clock: host.clock.of(new Life()) });
    const { members } = new Replay(next.log, store);
    if (members.length !== 1) {
      this.#kernel.violate('rebuilds-leave-all-behind', `${members.length} members go on alone`);
    }
    const before = this.#age;
    const age = new Age(this.#kernel, this.#marks, this.overlaps, before);
    store.view((view) => {
      const rules = new RebuildRules(this.#kernel, this.#marks);
      const kept = rules.check(before, disk, view, host.nodeId);
      age.begin({ ...next.identity, log: next.log, view }, before.raft.configurations.at(kept));
    });
    before.nodes.onRemoved = () => undefined;
    age.raft.meet(this.#seats, this.#snapshotEntries);
    this.#ages.push(age);
    this.rebuilds += 1;
    this.onRebuilt();
  }

  /** A manager has opened its log: from now on its store is followed. */
  opened(host: ManagerHost, running: Running): void {
    const changes = running.store.subscribe();
    const { raftId } = running.raft.status();
    const age = this.#ages.findLast(({ raft }) => raft.configurations.knows(raftId)) ?? this.#age;
    age.raft.opened(host, running.raft);
    const returning = [...age.without].find((id) => !running.raft.isRemoved(id));
    if (returning !== undefined && running.raft.members().length > 0) {
      this.#kernel.violate('rebuilds-leave-all-behind', `${host.name} would take in ${returning}`);
    }
    const watched = { host, running, age, changes, isCompared: false, lastIndex: 0 };
    this.#watched.set(host, watched);
    this.#adopt(watched);
    if (running.raft.status().lastApplied > 0 && host.disk.hasSnapshot) {
      this.#marks.hit('a manager came back from a snapshot');
    }
  }

  closed(host: ManagerHost): void {
    for (const { raft } of this.#ages) raft.closed(host);
    this.#watched.delete(host);
  }

  /** Something ended that must not. */
  broke(who: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#kernel.violate('no-exception', `${who}: ${text}`);
  }

  /** After each step: what has become visible. */
  step(): void {
    for (const { raft } of this.#ages) raft.look();
    for (const watched of this.#watched.values()) this.#follow(watched);
  }

  /** A person was told that an entry is there. */
  acknowledged(index: number): void {
    this.#told(index, 'a person');
  }

  /** An agent's request leaves. */
  requested({ method, transport }: Call, request: unknown): void {
    if (/^ProcessRaftMessages?$/u.test(method.name)) {
      const sent = request as ProcessRaftMessageRequest; // By the method.
      const from = raftIdFrom(sent.message?.from ?? '0');
      const age = this.#ages.findLast(({ raft }) => raft.configurations.knows(from)) ?? this.#age;
      age.raft.sent(sent);
    }
    if (method.name !== 'UpdateTaskStatus') return;
    const { nodeId } = transport.identity;
    const engine = this.#engines.get(nodeId);
    const { updates } = request as UpdateTaskStatusRequest; // By the method.
    for (const { taskId, status } of updates) {
      const state = status?.state ?? 'NEW';
      this.#age.tasks.reported(taskId, state);
      if (engine?.isRunning(taskId) === true && isTerminal(state)) {
        this.#kernel.violate(
          'agents-tell-the-truth',
          `${nodeId} tells that task ${taskId} is ${state}, and it runs`,
        );
      }
      if (state === 'RUNNING' && engine?.hasStarted(taskId) === false) {
        this.#kernel.violate(
          'agents-tell-the-truth',
          `${nodeId} tells that task ${taskId} runs, and it was never started`,
        );
      }
    }
  }

  /** A call comes to a manager. */
  served(call: Call, { host }: Party): void {
    for (const [manager, { running, age }] of this.#watched) {
      if (manager.host === host) age.nodes.served(call, running.raft.status().lastApplied);
    }
  }

  /** A manager's answer leaves. */
  answered(call: Call, response: unknown): void {
    for (const { nodes } of this.#ages) nodes.answered(call);
    const { method, transport, metadata } = call;
    if (method.name !== 'Assignments') return;
    // What a manager passes on is for the one it names.
    const nodeId = metadata['forwarded_cert_cn'] ?? transport.identity.nodeId;
    const message = response as AssignmentsMessage; // By the method.
    for (const { assignment, action } of message.changes) {
      const task = assignment?.task;
      if (!task || action === 'REMOVE') continue;
      this.#told(Number(task.meta?.version?.index ?? 0), `the agent of ${nodeId}`);
    }
    this.#assignments.answered(call, nodeId, message, (taskId) => {
      this.step(); // What this message follows from may have been applied just now.
      return this.#ages.some(({ ledger }) => hasEnded(ledger.task(taskId)));
    });
  }

  /** A manager's answer arrives. */
  delivered(call: Call, response: unknown): void {
    if (call.method.name !== 'Assignments') return;
    this.#assignments.delivered(call, response as AssignmentsMessage); // By the method.
  }

  stopping(engine: SimEngine, task: Task): void {
    const isWanted = this.#ages.every(({ ledger }) => {
      const known = ledger.task(task.id);
      const state = known?.status?.state ?? 'NEW';
      const isHeld = compareStates(state, 'ASSIGNED') > 0 && !isTerminal(state);
      const isNew = this.#kernel.now - ledger.givenAt(task.id) < newMs;
      return (
        known?.desiredState === 'RUNNING' && known.nodeId === engine.nodeId && isHeld && !isNew
      );
    });
    if (!isWanted) return;
    this.#kernel.violate(
      'wanted-containers-run-on',
      `${engine.nodeId} stops task ${task.id}, which is wanted, and always was`,
    );
  }

  mark(mark: Mark): void {
    this.#marks.hit(mark);
  }

  starting(engine: SimEngine, task: Task): void {
    this.step();
    const { nodeId } = engine;
    // An agent may still carry out what it was told before a rebuild.
    const given = this.#ages.map(({ tasks }) => tasks.nodeOf(task.id));
    if (!given.includes(nodeId)) {
      this.#kernel.violate(
        'agents-run-their-own',
        `${nodeId} starts task ${task.id}, which was given to ${given.at(-1) ?? 'nobody'}`,
      );
    }
    const known = this.#ages.findLast(({ ledger }) => ledger.task(task.id))?.ledger.task(task.id);
    if (known !== undefined && !isEqual(known.spec, task.spec)) {
      this.#kernel.violate('agents-run-their-own', `${nodeId} starts another task ${task.id}`);
    }
    this.#checkAlone(task);
  }

  /** No two tasks of a slot run while both believe, and the managers too, that they are wanted. */
  #checkAlone(task: Task): void {
    if (task.slot === '0' || this.overlaps.has(task.serviceId)) return;
    for (const other of this.ledger.tasks()) {
      const isRival =
        other.serviceId === task.serviceId && other.slot === task.slot && other.id !== task.id;
      if (!isRival || this.#engines.get(other.nodeId)?.isRunning(other.id) !== true) continue;
      // Of a node that was removed nobody will hear any more.
      if (other.desiredState !== 'RUNNING' || other.status?.state === 'ORPHANED') {
        this.#marks.hit('a task was replaced while it still ran out of sight');
      } else if (this.ledger.task(task.id)?.desiredState === 'RUNNING') {
        this.#kernel.violate(
          'one-task-a-slot',
          `tasks ${task.id} and ${other.id} of ${task.serviceId}.${task.slot} run, and both are wanted`,
        );
      }
    }
  }

  #told(index: number, who: string): void {
    this.step();
    // Whom an old manager passes on to, is not seen here.
    if (this.#ages.some(({ ledger }) => index <= ledger.index)) return;
    this.#kernel.violate(
      'nothing-is-told-before-it-is-durable',
      `${who} was told of entry ${index}, and nothing after ${this.ledger.index} is committed`,
    );
  }

  #follow(watched: Watched): void {
    const { host, running, changes, age } = watched;
    const { ledger } = age;
    const events = changes.drain();
    if (events === 'resync') {
      watched.isCompared = false;
      watched.lastIndex = running.raft.status().lastApplied;
    } else if (events.length > 0) {
      for (const entry of byEntry(events)) {
        this.#checkNext(watched, entry.index);
        this.#take(watched, entry);
      }
    }
    if (watched.isCompared) return;
    const { lastApplied } = running.raft.status();
    if (lastApplied < ledger.index) return;
    watched.isCompared = true;
    running.store.view((view) => {
      ledger.compare(view, host.name);
    });
  }

  /**
   * What a manager has applied as it came back, before anybody could watch it, and nobody had
   * applied before: its writer died between the disk and the store.
   */
  #adopt(watched: Watched): void {
    const { host, running, age } = watched;
    const { ledger } = age;
    const { lastApplied } = running.raft.status();
    watched.lastIndex = lastApplied;
    for (let { index } = ledger; index < lastApplied;) {
      index += 1;
      const data = host.disk.dataAt(index);
      const events = data === undefined ? [] : ledger.eventsOf(decodeRequest(data));
      this.#take(watched, { index, events });
    }
  }

  /** Who watches a store is told of every entry that changes it. */
  #checkNext(watched: Watched, index: number): void {
    const missed = watched.age.ledger.entryBetween(watched.lastIndex, index);
    watched.lastIndex = index;
    if (missed === undefined) return;
    const { name } = watched.host;
    this.#kernel.violate('nothing-is-skipped', `${name} tells of ${index}, and not of ${missed}`);
  }

  #take(watched: Watched, entry: Entry): void {
    const { age, host } = watched;
    if (!age.ledger.take(entry.index, entry.events, host.name)) return;
    this.#kernel.note(entry.index);
    age.tasks.take(entry.events);
    age.nodes.take(entry.index, entry.events);
    // While a swarm is rebuilt its nodes are told one by one where it is.
    if (this.rebuilds === 0) this.#silence?.take(entry.events, () => this.#writerOf(entry));
    if (age === this.#age) this.#look(entry.events);
    else this.#marks.hit('managers went on beside a rebuilt swarm, and nobody there saw it');
  }

  /** Who wrote an entry, if that is who leads now. */
  #writerOf({ index }: Entry): Leadership | undefined {
    const { committed, elections } = this.raft;
    const { newestTerm, at } = elections;
    if (committed.termOf(index) !== newestTerm) return undefined;
    for (const { host, running } of this.#watched.values()) {
      const { isLeader, term } = running.raft.status();
      if (isLeader && term === newestTerm) return { seat: host, since: at };
    }
    return undefined;
  }

  /** What is worth a mark. */
  #look(events: readonly StoreEvent[]): void {
    for (const event of events) {
      if (event.action !== 'updated') continue;
      if (event.kind === 'node') {
        const { id, status } = event.object;
        if (status?.state === 'DOWN') this.#down.add(id);
        if (status?.state === 'READY' && this.#down.delete(id)) {
          this.#marks.hit('a node was down and came back');
        }
        if (event.object.spec?.availability === 'DRAIN') this.#draining.add(id);
      }
      if (event.kind === 'service') {
        this.isUpdating = event.object.updateStatus?.state === 'UPDATING';
      }
      if (event.kind === 'task') this.#lookAtTask(event.object);
    }
  }

  readonly #draining = new Set<string>();
  readonly #failed = new Set<string>();

  #lookAtTask(task: Task): void {
    const key = `${task.serviceId} ${task.slot}`;
    const state = task.status?.state;
    if (state === 'FAILED') this.#failed.add(key);
    if (state === 'RUNNING' && this.#failed.delete(key)) {
      this.#marks.hit('a container died and was replaced');
    }
    if (state === 'SHUTDOWN' && this.#draining.has(task.nodeId)) {
      this.#marks.hit('a drained node was emptied');
    }
  }
}

const hasEnded = (task: Task | undefined): boolean =>
  task === undefined || isTerminal(task.status?.state ?? 'NEW');

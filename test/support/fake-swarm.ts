import {
  compareStates,
  type Node,
  type Service,
  type Task,
  type TaskStatus,
  timestampFromMs,
} from '../../src/api/index.ts';
import { type Log, runTogether } from '../../src/runtime/index.ts';
import { runAllocator } from '../../src/manager/allocator/allocator.ts';
import { runGlobal } from '../../src/manager/orchestrator/global.ts';
import { runJobs } from '../../src/manager/orchestrator/jobs/jobs.ts';
import { runReplicated } from '../../src/manager/orchestrator/replicated.ts';
import { runDelayedStarts } from '../../src/manager/orchestrator/restart.ts';
import { runUpdater } from '../../src/manager/orchestrator/update/updater.ts';
import { runConstraintEnforcer } from '../../src/manager/orchestrator/upkeep/constraint-enforcer.ts';
import { runTaskReaper } from '../../src/manager/orchestrator/upkeep/task-reaper.ts';
import type { Store } from '../../src/manager/store/store.ts';
import type { Transaction } from '../../src/manager/store/view.ts';
import { aStore } from './immediate-log.ts';
import { countingRandom } from './counting-random.ts';
import { silentLog } from './silent-log.ts';
import { VirtualClock } from './virtual-clock.ts';

type State = Task['desiredState'];

/** The leader's loops that a test may run. */
const loops = {
  replicated: runReplicated,
  global: runGlobal,
  jobs: runJobs,
  starts: runDelayedStarts,
  updater: runUpdater,
  reaper: runTaskReaper,
  enforcer: runConstraintEnforcer,
  allocator: runAllocator,
} as const;

export type LoopName = keyof typeof loops;

/**
 * A swarm of a store, some of the leader's loops, and nodes whose tasks do at once what is wanted
 * of them, unless a test says otherwise.
 */
export class FakeSwarm {
  readonly clock = new VirtualClock();
  readonly store: Store = aStore(this.clock);
  /** Which task states were seen in the store, in order: `slot state desired`. */
  readonly history: string[] = [];
  /** The state a task comes to, given the one its agent would report. */
  outcome: (task: Task, state: State) => State = (_, state) => state;
  /** Whether tasks are placed and run at all. */
  isAlive = true;
  readonly #log: Log = silentLog;
  readonly #random = countingRandom();

  /** Runs loops, and the nodes, while a test does its work; then ends them. */
  async lead(names: readonly LoopName[], work: () => Promise<void>): Promise<void> {
    const ended = new AbortController();
    const deps = { store: this.store, clock: this.clock, random: this.#random, log: this.#log };
    const running = runTogether(ended.signal, [
      ...names.map((name) => async (signal: AbortSignal) => loops[name](deps, signal)),
      async (signal) => this.#runNodes(signal),
    ]);
    try {
      await this.pass(0);
      await work();
    } finally {
      ended.abort();
      await running;
    }
  }

  /** Lets time pass, in milliseconds, and everything settle. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.clock.advance(0);
  }

  /** Writes to the store and lets everything settle. */
  async write(change: (tx: Transaction) => void): Promise<void> {
    await this.store.update(change);
    await this.pass(0);
  }

  async create(...objects: readonly (Node | Service | Task)[]): Promise<void> {
    await this.write((tx) => {
      for (const object of objects) {
        if ('desiredState' in object) tx.create('task', object);
        else if ('specVersion' in object) tx.create('service', object);
        else tx.create('node', object);
      }
    });
  }

  /** Changes a service as an update of its spec by a person does. */
  async updateService(id: string, change: (spec: Spec) => Spec): Promise<void> {
    await this.write((tx) => {
      const service = tx.get('service', id);
      if (service?.spec === null || service === undefined) throw new Error(`no service ${id}`);
      tx.update('service', {
        ...service,
        previousSpec: service.spec,
        previousSpecVersion: service.specVersion,
        spec: change(service.spec),
        specVersion: service.meta?.version ?? null,
        updateStatus: null,
      });
    });
  }

  async updateNode(id: string, change: (node: Node) => Node): Promise<void> {
    await this.write((tx) => {
      const node = tx.get('node', id);
      if (node === undefined) throw new Error(`no node ${id}`);
      tx.update('node', change(node));
    });
  }

  /** Has a task end, or report whatever state. */
  async report(id: string, state: State): Promise<void> {
    await this.write((tx) => {
      const task = tx.get('task', id);
      if (task === undefined) throw new Error(`no task ${id}`);
      tx.update('task', { ...task, status: this.#status(task.status, state) });
    });
  }

  service(id: string): Service {
    const service = this.store.view((view) => view.get('service', id));
    if (service === undefined) throw new Error(`no service ${id}`);
    return service;
  }

  task(id: string): Task | undefined {
    return this.store.view((view) => view.get('task', id));
  }

  tasks(serviceId?: string): readonly Task[] {
    return this.store.view((view) =>
      serviceId === undefined ? view.find('task') : view.find('task', { by: 'service', serviceId }),
    );
  }

  /** The tasks of a service that are wanted, by slot. */
  wanted(serviceId: string): readonly Task[] {
    return this.tasks(serviceId)
      .filter((task) => compareStates(task.desiredState, 'COMPLETE') <= 0)
      .toSorted((a, b) => Number(a.slot) - Number(b.slot));
  }

  #status(status: Task['status'], state: State): TaskStatus {
    const timestamp = timestampFromMs(this.clock.now());
    const none = { message: '', err: '', portStatus: null, appliedBy: '', appliedAt: null };
    return { ...none, ...status, state, timestamp };
  }

  /** A scheduler and agents in one: places a task where there are fewest, and runs it. */
  async #runNodes(signal: AbortSignal): Promise<void> {
    using events = this.store.subscribe(
      (event) => event.action !== 'committed' && event.action !== 'removed',
    );
    while (!signal.aborted) {
      await events.changed(signal).catch(() => undefined);
      events.drain();
      if (!this.isAlive) continue;
      await this.store.batch(
        this.tasks().map(({ id }) => (tx) => {
          const task = tx.get('task', id);
          if (task !== undefined) this.#step(tx, task);
        }),
      );
    }
  }

  #step(tx: Transaction, task: Task): void {
    const nodeId = task.nodeId === '' ? this.#placeFor(tx, task) : task.nodeId;
    const node = tx.get('node', nodeId);
    if (node?.status?.state !== 'READY') return;
    const current = task.status?.state ?? 'NEW';
    const state = this.outcome(task, nextState(task));
    if (state === current || compareStates(current, state) > 0) return;
    this.history.push(`${task.slot} ${state} ${task.desiredState}`);
    tx.update('task', { ...task, nodeId, status: this.#status(task.status, state) });
  }

  #placeFor(tx: Transaction, task: Task): string {
    if (compareStates(task.desiredState, 'COMPLETE') > 0) return '';
    const load = (node: Node): number => tx.find('task', { by: 'node', nodeId: node.id }).length;
    const [best] = tx
      .find('node')
      .filter((node) => node.status?.state === 'READY' && node.spec?.availability === 'ACTIVE')
      .toSorted((a, b) => load(a) - load(b));
    return best?.id ?? '';
  }
}

type Spec = NonNullable<Service['spec']>;

/** What an agent would bring a task to at once. */
function nextState(task: Task): State {
  const current = task.status?.state ?? 'NEW';
  if (compareStates(current, 'RUNNING') > 0) return current;
  if (compareStates(task.desiredState, 'COMPLETE') > 0) {
    return compareStates(current, 'ASSIGNED') < 0 ? current : 'SHUTDOWN';
  }
  return task.desiredState === 'READY' ? 'READY' : 'RUNNING';
}

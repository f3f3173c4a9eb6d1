import type { Network } from '../../api/index.ts';
import { type Clock, firstOf, type Log } from '../../runtime/index.ts';
import { changesOf, type StoreEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import type { ReadView, Transaction } from '../store/view.ts';
import {
  allocatedNetwork,
  allocatedTask,
  endpointFor,
  isServiceAllocated,
  isUnallocated,
} from './plan-allocation.ts';

export interface AllocatorDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** What could not be allocated is tried again this often. swarmkit manager/allocator */
const retryMs = 300_000;

/**
 * Gives networks, services and tasks what they need before a task can be placed, and moves tasks
 * from NEW to PENDING. swarmkit manager/allocator
 */
export async function runAllocator(
  { store, clock, log }: AllocatorDeps,
  signal: AbortSignal,
): Promise<void> {
  using events = store.subscribe(changesOf('network', 'service', 'task'));
  const noted = new Noted();
  noted.everything(store);
  while (!signal.aborted) {
    await store.batch(changes(noted, { clock, log }));
    await untilChange();
    const news = events.drain();
    if (news === 'resync' || news.length === 0) noted.everything(store);
    else for (const event of news) noted.event(event);
  }

  async function untilChange(): Promise<void> {
    try {
      await firstOf(
        signal,
        async (inner) => events.changed(inner),
        async (inner) => clock.sleep(retryMs, inner),
      );
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** What is to be looked at, and the tasks that wait for their service or a network. */
class Noted {
  readonly networks = new Set<string>();
  readonly services = new Set<string>();
  readonly tasks = new Set<string>();
  readonly #waiting = new Map<string, Set<string>>();

  event(event: StoreEvent): void {
    if (event.action === 'committed' || event.action === 'removed') return;
    if (event.kind === 'network') this.#networkCame(event.object);
    if (event.kind === 'service') this.#serviceCame(event.object.id);
    if (event.kind === 'task' && isUnallocated(event.object)) this.tasks.add(event.object.id);
  }

  everything(store: Store): void {
    store.view((view) => {
      for (const { id } of view.find('network')) this.networks.add(id);
      for (const { id } of view.find('service')) this.services.add(id);
      for (const task of view.find('task')) if (isUnallocated(task)) this.tasks.add(task.id);
    });
    this.#waiting.clear();
  }

  /** Notes that a task has to wait until something about its service changes. */
  wait(serviceId: string, taskId: string): void {
    const others = this.#waiting.get(serviceId);
    if (others === undefined) this.#waiting.set(serviceId, new Set([taskId]));
    else others.add(taskId);
  }

  #serviceCame(id: string): void {
    this.services.add(id);
    for (const taskId of this.#waiting.get(id) ?? []) this.tasks.add(taskId);
    this.#waiting.delete(id);
  }

  #networkCame(network: Network): void {
    this.networks.add(network.id);
    for (const serviceId of this.#waiting.keys()) this.#serviceCame(serviceId);
  }
}

/** Takes what was noted, networks first, since services and tasks need theirs. */
function* changes(
  noted: Noted,
  { clock, log }: Pick<AllocatorDeps, 'clock' | 'log'>,
): Iterable<(tx: Transaction) => void> {
  const [networks, services, tasks] = [[...noted.networks], [...noted.services], [...noted.tasks]];
  for (const set of [noted.networks, noted.services, noted.tasks]) set.clear();
  for (const id of networks) yield (tx) => allocateNetwork(tx, id);
  for (const id of services) yield (tx) => allocateService(tx, id);
  for (const id of tasks) {
    yield (tx) => {
      const task = tx.get('task', id);
      if (task === undefined || !isUnallocated(task)) return;
      const service = tx.get('service', task.serviceId);
      if (service === undefined && task.serviceId !== '') return;
      const networkOf = networksIn(tx);
      const allocated = allocatedTask(task, service, { networkOf, nowMs: clock.now() });
      if (allocated === undefined) {
        noted.wait(task.serviceId, id);
        log.debug({ 'task.id': id, 'service.id': task.serviceId }, 'task waits for its network');
      } else {
        tx.update('task', allocated);
      }
    };
  }
}

const networksIn =
  (view: ReadView) =>
  (id: string): Network | undefined =>
    view.get('network', id);

function allocateNetwork(tx: Transaction, id: string): void {
  const network = tx.get('network', id);
  const allocated = network && allocatedNetwork(network);
  if (allocated !== undefined) tx.update('network', allocated);
}

function allocateService(tx: Transaction, id: string): void {
  const service = tx.get('service', id);
  if (service === undefined || isServiceAllocated(service, networksIn(tx))) return;
  const endpoint = endpointFor(service, networksIn(tx));
  if (endpoint !== undefined) tx.update('service', { ...service, endpoint });
}

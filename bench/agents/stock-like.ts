import {
  compareStates,
  type RpcConnection,
  stateNumber,
  timestampFromMs,
} from '../../src/api/index.ts';
import type { AssignmentChange, TaskState, TaskStatusInput } from '../../src/api/gen/types.ts';
import { runTogether, SystemClock, Watch } from '../../src/runtime/index.ts';
import { type Agent, descriptionOf, type TaskCounts } from './agent.ts';
import { connectionOf, type Door, type Member } from './enrolment.ts';

const clock = new SystemClock();
const deadlineMs = 120_000;
const reopenMs = 500;

/** What a Docker Engine tells of a task on its way, each in a call of its own. */
export const everyStep = ['ACCEPTED', 'PREPARING', 'READY', 'STARTING', 'RUNNING'] as const;

/**
 * An agent that speaks as a Go agent does: one connection; a session, its assignments and the log
 * broker's subscriptions as streams; heartbeats; and one call for each status of each task, one
 * after the other. swarmkit agent/reporter.go
 */
export class StockLikeAgent implements Agent {
  readonly opened: Promise<void>;
  #hasOpened: () => void = () => undefined;
  readonly #door: Door;
  readonly #member: Member;
  readonly #number: number;
  readonly #steps: readonly TaskState[];
  readonly #tasks = new Map<string, TaskState>();
  readonly #reports: Array<{ readonly taskId: string; readonly state: TaskState }> = [];
  readonly #reported = new Watch<true>();
  #running = 0;
  #lost = 0;

  constructor(
    place: { readonly door: Door; readonly member: Member; readonly number: number },
    steps: readonly TaskState[] = everyStep,
  ) {
    this.#door = place.door;
    this.#member = place.member;
    this.#number = place.number;
    this.#steps = steps;
    this.opened = new Promise((resolve) => {
      this.#hasOpened = resolve;
    });
  }

  get counts(): TaskCounts {
    return { assigned: this.#tasks.size, running: this.#running, lostSessions: this.#lost };
  }

  async run(signal: AbortSignal): Promise<void> {
    using manager = connectionOf(this.#door, this.#member);
    for (;;) {
      // Each time it breaks there is another, as with a Go agent.
      await this.#holdSession(manager, signal).catch(() => (this.#lost += 1));
      await clock.sleep(reopenMs, signal);
    }
  }

  async #holdSession(manager: RpcConnection, signal: AbortSignal): Promise<void> {
    const description = descriptionOf(this.#number);
    const stream = manager.serverStream('Dispatcher', 'Session', { description }, { signal });
    const messages = stream[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done === true) throw new Error('the session ended before it began');
    const { sessionId } = first.value;
    this.#hasOpened();
    await runTogether(signal, [
      async () => {
        while ((await messages.next()).done !== true);
      },
      async (inner) => beat(manager, sessionId, inner),
      async (inner) => this.#listen(manager, sessionId, inner),
      async (inner) => this.#report(manager, sessionId, inner),
      async (inner) => hearSubscriptions(manager, inner),
    ]);
  }

  async #listen(manager: RpcConnection, sessionId: string, signal: AbortSignal): Promise<void> {
    const stream = manager.serverStream('Dispatcher', 'Assignments', { sessionId }, { signal });
    for await (const { changes } of stream) for (const change of changes) this.#take(change);
  }

  #take({ assignment, action }: AssignmentChange): void {
    const task = assignment?.task;
    if (!task) return;
    const known = this.#tasks.get(task.id);
    if (action === 'REMOVE') {
      if (known === 'RUNNING') this.#running -= 1;
      this.#tasks.delete(task.id);
      return;
    }
    const isWanted = compareStates(task.desiredState, 'RUNNING') <= 0;
    if (known === undefined && isWanted) {
      this.#tasks.set(task.id, 'NEW');
      this.#reports.push(...this.#steps.map((state) => ({ taskId: task.id, state })));
    } else if (known !== undefined && known !== 'SHUTDOWN' && !isWanted) {
      if (known === 'RUNNING') this.#running -= 1;
      this.#tasks.set(task.id, 'SHUTDOWN');
      this.#reports.push({ taskId: task.id, state: 'SHUTDOWN' });
    }
    this.#reported.publish(true);
  }

  async #report(manager: RpcConnection, sessionId: string, signal: AbortSignal): Promise<void> {
    using reported = this.#reported.subscribe(() => true, 1);
    for (;;) {
      reported.drain();
      for (let [next] = this.#reports; next !== undefined; [next] = this.#reports) {
        const { taskId, state } = next;
        const updates = [{ taskId, status: statusOf(taskId, state) }];
        const request = { sessionId, updates };
        await manager.unary('Dispatcher', 'UpdateTaskStatus', request, { signal, deadlineMs });
        this.#reports.shift();
        if (state !== 'RUNNING' || this.#tasks.get(taskId) !== 'NEW') continue;
        this.#tasks.set(taskId, 'RUNNING');
        this.#running += 1;
      }
      await reported.changed(signal);
    }
  }
}

/** Waits to be asked for logs. */
async function hearSubscriptions(manager: RpcConnection, signal: AbortSignal): Promise<void> {
  const stream = manager.serverStream('LogBroker', 'ListenSubscriptions', {}, { signal });
  for await (const subscription of stream) void subscription; // Nobody asks.
}

/** Says that a node lives, as often as it is told to. */
async function beat(manager: RpcConnection, sessionId: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const options = { signal, deadlineMs };
    const { period } = await manager.unary('Dispatcher', 'Heartbeat', { sessionId }, options);
    const ms = Number(period?.seconds ?? 5) * 1_000 + (period?.nanos ?? 0) / 1_000_000;
    await clock.sleep(ms, signal);
  }
}

/** A status as an Engine tells it, container and all. */
function statusOf(taskId: string, state: TaskState): TaskStatusInput {
  const hasContainer = stateNumber(state) >= stateNumber('READY');
  return {
    timestamp: timestampFromMs(clock.now()),
    state,
    message: messages[state] ?? '',
    ...(hasContainer
      ? { container: { containerId: `${taskId}${taskId}`.slice(0, 64), pid: 4_242, exitCode: 0 } }
      : {}),
  };
}

/** In an Engine's words. swarmkit agent/exec/controller.go */
const messages: Readonly<Partial<Record<TaskState, string>>> = {
  ACCEPTED: 'accepted',
  PREPARING: 'preparing',
  READY: 'prepared',
  STARTING: 'starting',
  RUNNING: 'started',
  SHUTDOWN: 'shutdown',
};

import type { Frozen, RpcClient } from '../api/index.ts';
import { toMs } from '../api/index.ts';
import type {
  LogMessageInput,
  LogSelector,
  LogSubscriptionOptions,
  PublishLogsMessageInput,
  SubscriptionMessage,
} from '../api/gen/types.ts';
import {
  type ChildAbort,
  childOf,
  isSwarmError,
  type Log,
  orAborted,
  SwarmError,
  Watch,
} from '../runtime/index.ts';
import type { LogChunk, LogOptions } from './execution.ts';
import type { TaskManager } from './task-manager.ts';
import type { Worker } from './worker.ts';

/** So many subscriptions are answered at once; one more is closed at once, unanswered. */
const subscriptionsMax = 256;

/** So much of one subscription waits to be sent; then its tasks' logs are read no further. */
const chunksHeldMax = 200;

/** At most so many chunks go in one message: with lines of 16 KiB it stays below 4 MiB. */
const chunksPerMessage = 100;

export interface LogPublisherDeps {
  readonly log: Log;
  readonly worker: Pick<Worker, 'tasks' | 'started'>;
}

/** Sends what this node's tasks write to whoever has subscribed to it at the managers. */
export class LogPublisher {
  readonly #deps: LogPublisherDeps;
  readonly #nodeId: string;

  constructor(deps: LogPublisherDeps, { nodeId }: { readonly nodeId: string }) {
    this.#deps = deps;
    this.#nodeId = nodeId;
  }

  /**
   * Answers the subscriptions that one manager passes on. A manager that has no log broker is
   * left in peace.
   *
   * @throws SwarmError, once the manager can be listened to no longer
   */
  async run(manager: RpcClient, signal: AbortSignal): Promise<void> {
    using life = childOf(signal);
    const open = new Map<string, ChildAbort>();
    const publishing = new Set<Promise<void>>();
    try {
      const messages = manager.serverStream('LogBroker', 'ListenSubscriptions', {}, { signal });
      for await (const message of messages) {
        if (message.close) open.get(message.id)?.abort();
        else if (message.id !== '' && !open.has(message.id)) {
          const wanted = childOf(life.signal);
          if (open.size >= subscriptionsMax) wanted.abort();
          open.set(message.id, wanted);
          const work = this.#answer(manager, message, {
            wanted: wanted.signal,
            signal: life.signal,
          });
          const done = work.finally(() => {
            open.delete(message.id);
            publishing.delete(done);
            wanted[Symbol.dispose]();
          });
          publishing.add(done);
        }
      }
      throw new SwarmError('unavailable', 'the manager ended the log subscriptions');
    } catch (error) {
      if (!isSwarmError(error, 'unimplemented')) throw error;
      await orAborted(new Promise<never>(() => undefined), signal);
    } finally {
      life.abort();
      await Promise.all(publishing);
    }
  }

  /** Answers one subscription until it is over, or `wanted` no longer. Never rejects. */
  async #answer(
    manager: RpcClient,
    { id, selector, options }: Frozen<SubscriptionMessage>,
    { wanted, signal }: { readonly wanted: AbortSignal; readonly signal: AbortSignal },
  ): Promise<void> {
    const outbox = new Outbox();
    using reading = childOf(wanted);
    const read = this.#read(outbox, selector, options, reading.signal);
    try {
      await manager.clientStream('LogBroker', 'PublishLogs', messagesOf(id, outbox, signal), {
        signal,
      });
    } catch (error) {
      if (!signal.aborted) this.#deps.log.debug({ err: error, id }, 'logs are not published');
    } finally {
      reading.abort();
      await read;
    }
  }

  /** Reads the logs of every task that is meant, then closes the outbox. Never rejects. */
  async #read(
    outbox: Outbox,
    selector: Frozen<LogSelector> | null,
    wire: Frozen<LogSubscriptionOptions> | null,
    signal: AbortSignal,
  ): Promise<void> {
    const { worker, log } = this.#deps;
    const readers = new Set<Promise<void>>();
    try {
      const options = logOptions(wire);
      const read = (task: TaskManager): void => {
        if (!isMeant(selector, task, this.#nodeId)) return;
        const reader = this.#readTask(outbox, task, options, signal).finally(() =>
          readers.delete(reader),
        );
        readers.add(reader);
      };
      using started = worker.started.subscribe();
      for (const task of worker.tasks) read(task);
      while (options.follow) {
        await started.changed(signal);
        const news = started.drain();
        if (news !== 'resync') for (const task of news) read(task);
      }
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, 'log subscription cannot be answered');
    } finally {
      await Promise.all(readers);
      outbox.close();
    }
  }

  async #readTask(
    outbox: Outbox,
    manager: TaskManager,
    options: LogOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const { id, serviceId } = manager.task;
    const context = { nodeId: this.#nodeId, serviceId, taskId: id };
    try {
      for await (const chunk of manager.logs(options, signal)) {
        await outbox.put({ context, ...chunkToWire(chunk) }, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#deps.log.warn({ err: error, 'task.id': id }, 'logs of a task cannot be read');
    }
  }
}

async function* messagesOf(
  subscriptionId: string,
  outbox: Outbox,
  signal: AbortSignal,
): AsyncGenerator<PublishLogsMessageInput> {
  for (;;) {
    const messages = await outbox.take(signal);
    if (messages.length === 0) break;
    yield { subscriptionId, messages };
  }
  yield { subscriptionId, close: true };
}

function isMeant(
  selector: Frozen<LogSelector> | null,
  { task }: TaskManager,
  nodeId: string,
): boolean {
  if (selector === null) return false;
  return (
    selector.taskIds.includes(task.id) ||
    selector.serviceIds.includes(task.serviceId) ||
    selector.nodeIds.includes(nodeId)
  );
}

/** @throws SwarmError invalid-argument, for what the Engine cannot do */
function logOptions(wire: Frozen<LogSubscriptionOptions> | null): LogOptions {
  const streams = wire?.streams ?? [];
  return {
    stdout: streams.length === 0 || streams.includes('LOG_STREAM_STDOUT'),
    stderr: streams.length === 0 || streams.includes('LOG_STREAM_STDERR'),
    follow: wire?.follow ?? false,
    tail: tailOf(Number(wire?.tail ?? 0)),
    sinceMs: toMs(wire?.since),
  };
}

/** On the wire 0 is everything and `-n - 1` the last `n` lines. swarmkit api/logbroker.proto */
function tailOf(tail: number): number | 'all' {
  if (tail === 0) return 'all';
  if (tail < 0) return -tail - 1;
  throw new SwarmError(
    'invalid-argument',
    'tail relative to start of logs not supported via docker API',
  );
}

const chunkToWire = ({ stream, timestamp, attributes, data }: LogChunk): LogMessageInput => ({
  stream: stream === 'STDOUT' ? 'LOG_STREAM_STDOUT' : 'LOG_STREAM_STDERR',
  timestamp: { ...timestamp },
  attrs: Object.entries(attributes).map(([key, value]) => ({ key, value })),
  data,
});

/** What was read of the logs and is not sent yet. It holds little: who writes waits for space. */
class Outbox {
  #held: LogMessageInput[] = [];
  #isClosed = false;
  readonly #changes = new Watch<undefined>();

  async put(message: LogMessageInput, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#until(() => this.#held.length < chunksHeldMax, signal);
    this.#held.push(message);
    this.#changes.publish(undefined);
  }

  /** Nothing more is put. */
  close(): void {
    this.#isClosed = true;
    this.#changes.publish(undefined);
  }

  /** What is to be sent next; nothing, once the outbox is closed and empty. */
  async take(signal: AbortSignal): Promise<LogMessageInput[]> {
    await this.#until(() => this.#isClosed || this.#held.length > 0, signal);
    const taken = this.#held.splice(0, chunksPerMessage);
    this.#changes.publish(undefined);
    return taken;
  }

  async #until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    if (isSo()) return;
    using changes = this.#changes.subscribe(undefined, 1);
    while (!isSo()) {
      await changes.changed(signal);
      changes.drain();
    }
  }
}

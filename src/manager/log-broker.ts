import type { CallContext, Handlers, Task } from '../api/index.ts';
import type {
  ListenSubscriptionsRequest,
  LogSelector,
  PublishLogsMessage,
  PublishLogsResponseInput,
  SubscribeLogsMessageInput,
  SubscribeLogsRequest,
  SubscriptionMessageInput,
} from '../api/gen/types.ts';
import {
  type ChildAbort,
  childOfBoth,
  firstOf,
  type Log,
  messageOf,
  newId,
  orAborted,
  type Random,
  type Subscription,
  SwarmError,
  Watch,
} from '../runtime/index.ts';
import { LogSubscription } from './log-subscription.ts';
import type { StoreEvent } from './store/events.ts';
import type { Store } from './store/store.ts';

export interface LogBrokerDeps {
  readonly store: Store;
  readonly random: Random;
  readonly log: Log;
}

/** A subscription that nodes are to hear of: all it asks, or one it asks anew. */
interface Notice {
  readonly subscription: LogSubscription;
  readonly nodeId?: string;
}

/**
 * Brings those who want to read logs together with the nodes that have them. It runs on the
 * leader, keeps nothing, and lets a node send only as fast as its reader reads.
 * swarmkit manager/logbroker
 */
export class LogBroker implements Handlers<'LogBroker'>, Handlers<'Logs'> {
  readonly #deps: LogBrokerDeps;
  readonly #subscriptions = new Map<string, LogSubscription>();
  readonly #notices = new Watch<Notice>();
  /** How many streams each node listens on. */
  readonly #listening = new Map<string, number>();
  #running: AbortSignal | undefined;

  constructor(deps: LogBrokerDeps) {
    this.#deps = deps;
  }

  /** Serves until the signal aborts; then every stream ends. It may be run again. */
  async run(signal: AbortSignal): Promise<void> {
    const life = new AbortController();
    this.#running = life.signal;
    try {
      await orAborted(new Promise<never>(() => undefined), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      life.abort(stopped());
      this.#running = undefined;
    }
  }

  /**
   * Gives the logs that a selector names: those there are, and on request those to come.
   *
   * @throws SwarmError unknown, at the end, if some could not be had, with the reasons
   */
  async *subscribeLogs(
    { selector, options }: SubscribeLogsRequest,
    context: CallContext,
  ): AsyncGenerator<SubscribeLogsMessageInput> {
    assertSelects(selector);
    using call = this.#callOf(context);
    const { store, random } = this.#deps;
    const subscription = new LogSubscription(newId(random), selector, options);
    using changes = store.subscribe(
      (event) => subscription.isFollowing && bringsLogs(event, subscription),
    );
    try {
      this.#register(subscription);
      for (;;) {
        for (const messages of subscription.drain()) yield { messages: [...messages] };
        this.#takeIn(subscription, changes);
        if (subscription.isComplete) break;
        await firstOf(
          call.signal,
          async (inner) => subscription.changed(inner),
          async (inner) => changes.changed(inner),
        );
      }
      for (const messages of subscription.drain()) yield { messages: [...messages] };
      subscription.assertWhole();
    } finally {
      this.#subscriptions.delete(subscription.id);
      subscription.close();
      this.#notices.publish({ subscription });
    }
  }

  /** Tells a node which logs are wanted of it, and which no longer are. */
  async *listenSubscriptions(
    _request: ListenSubscriptionsRequest,
    context: CallContext,
  ): AsyncGenerator<SubscriptionMessageInput> {
    const nodeId = nodeIdOf(context);
    using call = this.#callOf(context);
    using notices = this.#notices.subscribe(
      (notice) => (notice.nodeId ?? nodeId) === nodeId && notice.subscription.nodes.has(nodeId),
      1_024,
    );
    this.#listening.set(nodeId, (this.#listening.get(nodeId) ?? 0) + 1);
    try {
      for (const subscription of this.#asking(nodeId)) yield subscription.message();
      for (;;) {
        await notices.changed(call.signal);
        const news = notices.drain();
        // One that closed meanwhile is not told of: the node learns it when it sends.
        const due = news === 'resync' ? this.#asking(nodeId) : news.map((one) => one.subscription);
        for (const subscription of due) yield subscription.message();
      }
    } finally {
      this.#disconnect(nodeId);
    }
  }

  /** Takes a node's logs for one subscription. */
  async publishLogs(
    requests: AsyncIterable<PublishLogsMessage>,
    context: CallContext,
  ): Promise<PublishLogsResponseInput> {
    const nodeId = nodeIdOf(context);
    let current: LogSubscription | undefined;
    try {
      for await (const { subscriptionId, messages, close } of requests) {
        current = this.#wantedBy(subscriptionId, current, nodeId);
        if (close) break;
        for (const { context: from } of messages) {
          if (from?.nodeId !== nodeId) {
            throw new SwarmError(
              'permission-denied',
              `invalid NodeID: expected=${nodeId};received=${from?.nodeId ?? ''}`,
            );
          }
        }
        await current.put(messages, context.signal);
      }
      current?.done(nodeId);
      return {};
    } catch (error) {
      this.#deps.log.debug({ 'node.id': nodeId, err: error }, 'logs broke off');
      current?.done(nodeId, messageOf(error));
      throw error;
    }
  }

  /** Asks the nodes that have logs; those that do not listen cannot be asked. */
  #register(subscription: LogSubscription): void {
    this.#deps.store.view((view) => {
      subscription.match(view);
    });
    this.#subscriptions.set(subscription.id, subscription);
    this.#notices.publish({ subscription });
    for (const nodeId of subscription.nodes) {
      if (!this.#listening.has(nodeId)) {
        subscription.done(nodeId, `node ${nodeId} is not available`);
      }
    }
  }

  /** Asks the nodes of tasks that have come since; a node that does not listen hears of it later. */
  #takeIn(subscription: LogSubscription, changes: Subscription<StoreEvent>): void {
    const events = changes.drain();
    const tasks =
      events === 'resync'
        ? this.#deps.store
            .view((view) => view.find('task'))
            .filter((task) => subscription.wants(task))
        : events.map(taskOf).filter((task) => task !== undefined);
    for (const task of tasks) {
      const nodeId = subscription.note(task);
      if (nodeId !== undefined) this.#notices.publish({ subscription, nodeId });
    }
  }

  #asking(nodeId: string): readonly LogSubscription[] {
    return [...this.#subscriptions.values()].filter(({ nodes }) => nodes.has(nodeId));
  }

  #disconnect(nodeId: string): void {
    const others = (this.#listening.get(nodeId) ?? 1) - 1;
    if (others > 0) {
      this.#listening.set(nodeId, others);
      return;
    }
    this.#listening.delete(nodeId);
    for (const subscription of this.#asking(nodeId)) {
      if (subscription.isOpenOn(nodeId)) {
        subscription.done(nodeId, `node ${nodeId} disconnected unexpectedly`);
      }
    }
  }

  /** The subscription a node sends for, if it was asked to. */
  #wantedBy(id: string, current: LogSubscription | undefined, nodeId: string): LogSubscription {
    if (id === '') throw new SwarmError('invalid-argument', 'missing subscription ID');
    if (current !== undefined && current.id !== id) {
      throw new SwarmError('invalid-argument', 'different subscription IDs in the same session');
    }
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined || !subscription.nodes.has(nodeId)) {
      throw new SwarmError('not-found', 'unknown subscription ID');
    }
    return subscription;
  }

  #callOf(context: CallContext): ChildAbort {
    if (this.#running === undefined) throw stopped();
    return childOfBoth(context.signal, this.#running);
  }
}

const stopped = (): SwarmError => new SwarmError('unavailable', 'broker is not running');

/** @throws SwarmError invalid-argument, if a selector selects nothing */
function assertSelects(selector: LogSelector | null): asserts selector is LogSelector {
  if (selector === null) {
    throw new SwarmError('invalid-argument', 'log selector must be provided');
  }
  const { serviceIds, nodeIds, taskIds } = selector;
  if (serviceIds.length + nodeIds.length + taskIds.length === 0) {
    throw new SwarmError('invalid-argument', 'log selector must not be empty');
  }
}

/** @throws SwarmError permission-denied, if the caller is no node */
function nodeIdOf({ caller }: CallContext): string {
  if (caller.kind === 'node') return caller.nodeId;
  throw new SwarmError('permission-denied', 'Permission denied: unauthorized peer role');
}

/** The task that has come or changed. */
const taskOf = (event: StoreEvent): Task | undefined =>
  event.action !== 'committed' && event.action !== 'removed' && event.kind === 'task'
    ? event.object
    : undefined;

/** Whether a task has come, or has come to a node, whose logs are wanted. */
function bringsLogs(event: StoreEvent, subscription: LogSubscription): boolean {
  const task = taskOf(event);
  if (task === undefined || !subscription.wants(task)) return false;
  const before = event.action === 'updated' && event.kind === 'task' ? event.old.nodeId : undefined;
  return task.nodeId !== before;
}

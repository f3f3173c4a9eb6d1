import { compareStates, type Frozen, type Task } from '../api/index.ts';
import type {
  LogMessage,
  LogSelector,
  LogSubscriptionOptions,
  SubscriptionMessageInput,
} from '../api/gen/types.ts';
import { orAborted, SwarmError } from '../runtime/index.ts';
import type { ReadView } from './store/view.ts';

/** So many batches of lines are held for a reader; the nodes that send more of them wait. */
const heldMax = 64;

/**
 * One reader's wish for logs: which nodes have some, what they sent, and which of them are done.
 * swarmkit manager/logbroker/subscription.go
 */
export class LogSubscription {
  readonly id: string;
  readonly #selector: Frozen<LogSelector>;
  readonly #options: Frozen<LogSubscriptionOptions> | null;
  /** Nodes that have been asked; those that have more to say. */
  readonly #nodes = new Set<string>();
  readonly #open = new Set<string>();
  /** Tasks that have no node yet. */
  readonly #pending = new Set<string>();
  readonly #problems: string[] = [];
  #held: (readonly LogMessage[])[] = [];
  #isClosed = false;
  #wake: () => void = () => undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(
    id: string,
    selector: Frozen<LogSelector>,
    options: Frozen<LogSubscriptionOptions> | null,
  ) {
    this.id = id;
    this.#selector = selector;
    this.#options = options;
    this.#nextTurn();
  }

  /** Whether it goes on with tasks and lines to come. */
  get isFollowing(): boolean {
    return this.#options?.follow ?? false;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The nodes it asks. */
  get nodes(): ReadonlySet<string> {
    return this.#nodes;
  }

  /** What the nodes are told of it. */
  message(): SubscriptionMessageInput {
    const { serviceIds, nodeIds, taskIds } = this.#selector;
    return {
      id: this.id,
      selector: { serviceIds: [...serviceIds], nodeIds: [...nodeIds], taskIds: [...taskIds] },
      options: this.#options && { ...this.#options, streams: [...this.#options.streams] },
      close: this.#isClosed,
    };
  }

  /** Finds the nodes that have logs of it. */
  match(view: ReadView): void {
    for (const nodeId of this.#selector.nodeIds) this.#ask(nodeId);
    for (const taskId of this.#selector.taskIds) {
      const task = view.get('task', taskId);
      if (task !== undefined) this.note(task);
    }
    for (const serviceId of this.#selector.serviceIds) {
      for (const task of view.find('task', { by: 'service', serviceId })) {
        const hasRun = compareStates(task.status?.state ?? 'NEW', 'RUNNING') >= 0;
        if (this.isFollowing || hasRun) this.note(task);
      }
    }
  }

  /** Whether a task's logs are wanted. */
  wants(task: Task): boolean {
    const { taskIds, serviceIds } = this.#selector;
    return taskIds.includes(task.id) || serviceIds.includes(task.serviceId);
  }

  /**
   * Takes a task in whose logs are wanted.
   *
   * @returns the node to ask for them, if it has not been asked
   */
  note({ id, nodeId }: Task): string | undefined {
    if (nodeId === '') {
      this.#pending.add(id);
      return undefined;
    }
    this.#pending.delete(id);
    return this.#ask(nodeId) ? nodeId : undefined;
  }

  /** Whether a node has been asked and may have more to send. */
  isOpenOn(nodeId: string): boolean {
    return this.#open.has(nodeId);
  }

  /** Notes that a node has no more to send, and what went wrong there. */
  done(nodeId: string, problem?: string): void {
    if (problem !== undefined) this.#problems.push(problem);
    this.#open.delete(nodeId);
    this.#nextTurn();
  }

  /**
   * Takes lines from a node; waits while the reader has too many. Lines for a reader that has gone
   * are dropped.
   */
  async put(messages: readonly LogMessage[], signal: AbortSignal): Promise<void> {
    while (!this.#isClosed && this.#held.length >= heldMax) await orAborted(this.#turn, signal);
    if (this.#isClosed) return;
    this.#held.push(messages);
    this.#nextTurn();
  }

  /** Waits for lines, or for the end. */
  async changed(signal: AbortSignal): Promise<void> {
    while (this.#held.length === 0 && !this.isComplete) await orAborted(this.#turn, signal);
  }

  /** The lines that have come since the last call. */
  drain(): readonly (readonly LogMessage[])[] {
    const held = this.#held;
    this.#held = [];
    if (held.length > 0) this.#nextTurn();
    return held;
  }

  /** Whether every node is done. One that follows never is. */
  get isComplete(): boolean {
    return !this.isFollowing && this.#open.size === 0;
  }

  /** Ends it: nobody reads any more. */
  close(): void {
    this.#isClosed = true;
    this.#held = [];
    this.#nextTurn();
  }

  /** @throws SwarmError unknown, if some logs could not be had, with the reasons */
  assertWhole(): void {
    const reasons = [
      ...this.#problems,
      ...[...this.#pending].map((taskId) => `task ${taskId} has not been scheduled`),
    ];
    if (reasons.length === 0) return;
    throw new SwarmError(
      'unknown',
      'warning: incomplete log stream. some logs could not be retrieved for the following ' +
        `reasons: ${reasons.join(', ')}`,
    );
  }

  #ask(nodeId: string): boolean {
    if (this.#nodes.has(nodeId)) return false;
    this.#nodes.add(nodeId);
    this.#open.add(nodeId);
    return true;
  }

  /** Lets everybody who waits look again. */
  #nextTurn(): void {
    this.#wake();
    this.#turn = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

import type { AssignmentsMessage } from '../../../src/api/gen/types.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Call } from '../ports/call.ts';

/** What the agent at the other end of a stream has been sent. */
interface Sent {
  last: string;
  readonly secrets: Set<string>;
  /** The secrets that each task needs. */
  readonly tasks: Map<string, readonly string[]>;
}

/** What the agent at the other end of a stream has got. */
interface Got {
  last: string;
  /** When something was found to be missing. */
  gapAt: number | undefined;
}

/** An agent that has missed a message asks for all of them again within this, in milliseconds. */
const noticedMs = 1_000;

/** An agent is sent its own tasks, and what they need, for as long as they need it. */
export class AssignmentRules {
  readonly #kernel: Kernel;
  readonly #sent = new WeakMap<Call, Sent>();
  readonly #got = new WeakMap<Call, Got>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * A message leaves for the agent of a node.
   *
   * @param isOver whether a task has ended, as far as anybody knows
   */
  answered(
    call: Call,
    nodeId: string,
    message: AssignmentsMessage,
    isOver: (taskId: string) => boolean,
  ): void {
    const { type, appliesTo, changes } = message;
    for (const { assignment, action } of changes) {
      const task = assignment?.task;
      if (!task || action === 'REMOVE' || task.nodeId === nodeId) continue;
      this.#kernel.violate('agents-run-their-own', `${nodeId} was sent task ${task.id} of another`);
    }
    if (type === 'COMPLETE') {
      this.#sent.set(call, { last: '', secrets: new Set(), tasks: new Map() });
    }
    const sent = this.#sent.get(call);
    // Where one was lost, what follows says nothing.
    if (sent?.last !== appliesTo) return;
    take(sent, message);
    this.#checkNeeds(sent, isOver);
  }

  /** A message arrives: of a stream with a gap the agent takes no more. */
  delivered(call: Call, { appliesTo, resultsIn }: AssignmentsMessage): void {
    const { now } = this.#kernel;
    const got = this.#got.get(call);
    if (got === undefined) {
      this.#got.set(call, { last: resultsIn, gapAt: undefined });
      return;
    }
    if (got.gapAt !== undefined && now - got.gapAt > noticedMs) {
      const { nodeId } = call.transport.identity;
      this.#kernel.violate('gaps-are-noticed', `${nodeId} goes on after a message was lost`);
    }
    if (appliesTo !== got.last) got.gapAt ??= now;
    got.last = resultsIn;
  }

  #checkNeeds({ secrets, tasks }: Sent, isOver: (taskId: string) => boolean): void {
    for (const [taskId, needs] of tasks) {
      const missing = needs.find((id) => !secrets.has(id));
      if (missing === undefined || isOver(taskId)) continue;
      this.#kernel.violate('tasks-have-what-they-need', `task ${taskId} is without ${missing}`);
    }
  }
}

function take(sent: Sent, { resultsIn, changes }: AssignmentsMessage): void {
  const { secrets, tasks } = sent;
  sent.last = resultsIn;
  for (const { assignment, action } of changes) {
    const { secret, task } = assignment ?? {};
    if (secret) {
      if (action === 'REMOVE') secrets.delete(secret.id);
      else secrets.add(secret.id);
    }
    if (!task) continue;
    const needs = task.spec?.container?.secrets.map(({ secretId }) => secretId) ?? [];
    if (action === 'REMOVE' || needs.length === 0) tasks.delete(task.id);
    else tasks.set(task.id, needs);
  }
}

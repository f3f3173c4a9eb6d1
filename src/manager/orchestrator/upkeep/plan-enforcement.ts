import { compareStates, count, type Node, type Service, type Task } from '../../../api/index.ts';
import { meetsConstraints } from '../../../scheduler/index.ts';
import { readConstraints, stateOf } from '../slots.ts';

type Resources = NonNullable<NonNullable<NonNullable<Task['spec']>['resources']>['reservations']>;
type GenericResource = Resources['generic'][number];

/**
 * The tasks of a node that it does not fit any more: its labels, role or platform do not meet
 * their constraints, or its resources do not suffice for what they have reserved. The constraints
 * are those the service asks for now, so that a task is not rejected for an outdated one.
 * swarmkit manager/orchestrator/constraintenforcer
 *
 * @param tasks every task of the node
 */
export function planEnforcement(
  node: Node,
  tasks: readonly Task[],
  serviceOf: (task: Task) => Service | undefined,
): readonly Task[] {
  if (node.spec?.availability !== 'ACTIVE') return [];
  const left = new Left(node.description?.resources ?? undefined);
  return tasks.filter(isEnforced).filter((task) => {
    const placement = (serviceOf(task)?.spec?.task ?? task.spec)?.placement;
    const constraints = readConstraints(placement?.constraints ?? []);
    return !meetsConstraints(constraints, node) || !left.take(task);
  });
}

/** Whether a task can still be rejected: it is assigned, wanted, and has not ended. */
export const isEnforced = (task: Task): boolean =>
  compareStates(task.desiredState, 'ASSIGNED') >= 0 &&
  compareStates(task.desiredState, 'COMPLETE') <= 0 &&
  compareStates(stateOf(task), 'COMPLETE') < 0;

/** What is left of a node's resources as its tasks take their share. */
class Left {
  #nanoCpus: number;
  #memoryBytes: number;
  readonly #generic: readonly GenericResource[];
  readonly #isKnown: boolean;

  constructor(resources: Resources | undefined) {
    this.#isKnown = resources !== undefined;
    this.#nanoCpus = count(resources?.nanoCpus);
    this.#memoryBytes = count(resources?.memoryBytes);
    this.#generic = resources?.generic ?? [];
  }

  /** Takes a task's share, if there is enough for it. */
  take(task: Task): boolean {
    if (!this.#isKnown) return true;
    const reserved = task.spec?.resources?.reservations;
    const [nanoCpus, memoryBytes] = [count(reserved?.nanoCpus), count(reserved?.memoryBytes)];
    if (nanoCpus > this.#nanoCpus || memoryBytes > this.#memoryBytes) return false;
    if (!task.assignedGenericResources.every((assigned) => this.#has(assigned))) return false;
    this.#nanoCpus -= nanoCpus;
    this.#memoryBytes -= memoryBytes;
    return true;
  }

  /** A named resource must still be there; of a discrete one there must be as many. */
  #has({ namedResourceSpec: named, discreteResourceSpec: discrete }: GenericResource): boolean {
    return this.#generic.some((there) =>
      named
        ? there.namedResourceSpec?.kind === named.kind &&
          there.namedResourceSpec.value === named.value
        : there.discreteResourceSpec?.kind === discrete?.kind &&
          count(there.discreteResourceSpec?.value) >= count(discrete?.value),
    );
  }
}

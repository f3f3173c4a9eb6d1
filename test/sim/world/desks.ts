import type { AgentHost } from './agent-host.ts';
import type { Desk } from './deeds.ts';
import type { ManagerHost } from './manager-host.ts';
import type { Parts } from './parts.ts';

const idsOf = (hosts: readonly (ManagerHost | AgentHost)[]): readonly string[] =>
  hosts.map(({ host }) => host.nodeId);

/** Where people sit down to use the control API: at some manager that runs. */
export class Desks {
  readonly #parts: Parts;
  readonly #managers: readonly ManagerHost[];
  readonly #agents: readonly AgentHost[];

  constructor(parts: Parts, managers: readonly ManagerHost[], agents: readonly AgentHost[]) {
    this.#parts = parts;
    this.#managers = managers;
    this.#agents = agents;
  }

  /** The managers that answer. */
  get up(): readonly ManagerHost[] {
    const { checks } = this.#parts;
    // Nobody asks those that a rebuild has left behind.
    return this.#managers.filter((host) => host.manager !== undefined && !checks.isBehind(host));
  }

  get leader(): ManagerHost | undefined {
    return this.up.find(({ manager }) => manager?.isLeader === true);
  }

  /** @returns nothing, while the manager does not run */
  at({ manager, running }: ManagerHost): Desk | undefined {
    if (manager === undefined || running === undefined) return undefined;
    const { marks, checks, kernel } = this.#parts;
    return {
      client: manager.client,
      view: (read) => running.store.view(read),
      mark: (mark) => {
        marks.hit(mark);
      },
      overlaps: (serviceId) => checks.overlaps.add(serviceId),
      givesUp: (taskId) => {
        checks.tasks.givenUp(taskId);
      },
      workers: idsOf(this.#agents),
      managers: idsOf(this.#managers),
      accepted: (what, nodeId, askedAt) => {
        checks.step(); // What was applied with it counts.
        checks.quorum.accepted(what, nodeId, askedAt);
      },
      now: () => kernel.now,
    };
  }
}

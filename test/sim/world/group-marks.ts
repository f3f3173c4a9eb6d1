import type { Configuration } from '../checks/raft/configurations.ts';
import type { ManagerHost } from './manager-host.ts';
import type { Nemesis } from './nemesis.ts';
import type { Parts } from './parts.ts';

/** What is worth a mark when the group of managers changes. */
export class GroupMarks {
  readonly #parts: Parts;
  readonly #managers: readonly ManagerHost[];
  readonly #nemesis: Nemesis;
  /** The nodes of members that went. */
  readonly #gone = new Set<string>();

  constructor(parts: Parts, managers: readonly ManagerHost[], nemesis: Nemesis) {
    this.#parts = parts;
    this.#managers = managers;
    this.#nemesis = nemesis;
  }

  /** From now on. */
  watch(): void {
    const { checks } = this.#parts;
    const { configurations } = checks.raft;
    configurations.onChange = (before, after) => {
      // A rebuilt swarm has another group.
      if (checks.raft.configurations !== configurations) return;
      this.#added(before, after);
      this.#removed(before, after);
    };
  }

  #added(before: Configuration, { voters, nodes }: Configuration): void {
    const { marks, checks } = this.#parts;
    const [added] = [...voters].filter((id) => !before.voters.has(id));
    if (added === undefined || before.since === 0) return;
    marks.hit('a learner was promoted');
    if (checks.rebuilds > 0) marks.hit('a rebuilt swarm has another manager again');
    if (checks.raft.hasTakenSnapshot(added)) marks.hit('a learner was promoted after a snapshot');
    if (this.#nemesis.cutsOn > 0) marks.hit('a manager was added while there was a cut');
    const others = this.#managers.filter(({ host }) => [...nodes.values()].includes(host.nodeId));
    if (others.some(({ isDown }) => isDown)) {
      marks.hit('a manager was added while another was down');
    }
    if (this.#gone.has(nodes.get(added) ?? '')) {
      marks.hit('a manager that was removed came back as another member');
    }
  }

  #removed(before: Configuration, after: Configuration): void {
    const { voters } = after;
    const { marks, checks } = this.#parts;
    const [removed] = [...before.voters].filter((id) => !voters.has(id));
    if (removed === undefined) return;
    const nodeId = before.nodes.get(removed) ?? '';
    checks.quorum.removed(after, nodeId);
    this.#gone.add(nodeId);
    if (voters.size === 1) marks.hit('one manager alone was left');
    if (this.#nemesis.cutsOn > 0) marks.hit('a manager was removed while there was a cut');
    if ([...checks.raft.elections.leaders].includes(removed)) {
      marks.hit('a leader was removed, having handed over');
    }
    const host = this.#managers.find((manager) => manager.host.nodeId === nodeId);
    if (host?.isDown === true) marks.hit('a manager was removed while it was down');
  }
}

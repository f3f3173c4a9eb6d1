import { isSwarmError } from '../../../../src/runtime/index.ts';
import type { Host } from '../../ports/host.ts';
import type { AgentHost } from '../agent-host.ts';
import type { ManagerHost } from '../manager-host.ts';
import type { Parts } from '../parts.ts';
import type { Deed } from '../plan/plan.ts';

interface Hosts {
  readonly managers: readonly ManagerHost[];
  readonly agents: readonly AgentHost[];
}

/** A log that cannot be read now is tried again after so long. */
const againMs = 3_000;
const triesMax = 10;
/** Who was left behind has heard so by then, if anybody tells it. */
const remindedMs = 15_000;
/** So long after a swarm was rebuilt at another address the first worker is told. */
const toldMs = 4_000;
/** By then everybody has found the rebuilt manager. */
const lookAfterMs = 25_000;

/** How one goes on alone. */
type How = Pick<Extract<Deed, { kind: 'rebuild' }>, 'isMoved' | 'backMs'>;

/** What people do when most managers are lost: one goes on alone, and the others come back later. */
export class Rebuilding {
  readonly #parts: Parts;
  readonly #hosts: Hosts;
  /** Those that are put away, or cut off. */
  readonly #lost = new Set<ManagerHost>();
  #isOver = false;
  #isUnderWay = false;

  constructor(parts: Parts, hosts: Hosts) {
    this.#parts = parts;
    this.#hosts = hosts;
  }

  /** All managers but one are lost. */
  do({ host, way, isMoved, waitMs, backMs }: Extract<Deed, { kind: 'rebuild' }>): void {
    const survivor = this.#survivor(Number(host.slice(1)));
    if (survivor === undefined || this.#isUnderWay) return;
    this.#isUnderWay = true;
    for (const other of this.#hosts.managers) {
      if (other === survivor || !other.isMember) continue;
      if (other.disk.raftId === undefined && other.host.role !== 'swarm-manager') continue;
      this.#lost.add(other);
      other.isApart = way === 'cut';
      if (other.isApart) continue;
      other.crash(false);
      other.isAway = true;
    }
    if (way === 'cut') this.#cut();
    this.#after(waitMs, () => {
      survivor.crash(false);
      survivor.isAway = true;
      this.#goOnAlone(survivor, { isMoved, backMs }, triesMax);
    });
  }

  /** Everybody comes back, at the latest now. */
  end(): void {
    this.#bringBack();
    this.#isOver = true;
    for (const manager of this.#hosts.managers) {
      manager.isAway = false;
      manager.start();
    }
    if (!this.#isUnderWay) return;
    const { kernel } = this.#parts;
    kernel.after(remindedMs, undefined, () => {
      this.#startAnew((host) => {
        host.crash(false);
      });
    });
    kernel.after(2 * remindedMs, undefined, () => {
      this.#startAnew((host) => {
        host.loseDisk();
      });
    });
  }

  /**
   * Whom nobody tells that it was left behind: one that was promoted again while it was cut off, so
   * that its role does not change. It is started again, since then it asks all managers that it has
   * heard of; that helps, unless the survivor had never heard of its Raft ID. Then somebody has it
   * join anew, with `swarmd recover --rejoin`. docs/limits.md
   */
  #startAnew(end: (host: ManagerHost) => void): void {
    const { checks, kernel } = this.#parts;
    for (const host of this.#hosts.managers) {
      if (host.running === undefined || !checks.isBehind(host)) continue;
      end(host);
      kernel.after(againMs, undefined, () => {
        host.start();
      });
    }
  }

  /** The first, from some number on, that has a vote and a log. */
  #survivor(from: number): ManagerHost | undefined {
    const { managers } = this.#hosts;
    const { voters } = this.#parts.checks.raft.configurations.newest;
    if (voters.size < 2) return undefined;
    return [...managers.slice(from), ...managers.slice(0, from)].find(
      ({ disk }) => disk.raftId !== undefined && voters.has(disk.raftId),
    );
  }

  #goOnAlone(survivor: ManagerHost, how: How, tries: number): void {
    const { checks } = this.#parts;
    const isThere = survivor.isMember && survivor.disk.raftId !== undefined && tries > 0;
    if (!isThere || this.#isOver) {
      survivor.isAway = false;
      survivor.start();
      this.#bringBack();
      return;
    }
    this.#rebuild(survivor, how).catch((error: unknown) => {
      if (!isSwarmError(error)) checks.broke('a rebuild', error);
      this.#after(againMs, () => {
        this.#goOnAlone(survivor, how, tries - 1);
      });
    });
  }

  async #rebuild(survivor: ManagerHost, { isMoved, backMs }: How): Promise<void> {
    if (await survivor.rebuild()) {
      this.#watchContainers();
      if (isMoved) this.#move(survivor);
    }
    survivor.isAway = false;
    survivor.start();
    this.#after(backMs, () => {
      this.#bringBack();
    });
  }

  /** The survivor has another address now: somebody tells the workers, one after the other. */
  #move(survivor: ManagerHost): void {
    const { marks } = this.#parts;
    survivor.move();
    marks.hit('a swarm was rebuilt at another address');
    for (const [at, agent] of this.#hosts.agents.entries()) {
      this.#after(toldMs + at * 500, () => {
        if (agent.hasSession || !agent.isMember) return;
        agent.joinAt([survivor.address]);
      });
    }
  }

  #bringBack(): void {
    this.#mend();
    for (const host of this.#lost) {
      host.isApart = false;
      host.isAway = false;
      host.start();
    }
    this.#lost.clear();
  }

  /** Those that are lost reach each other, and nobody else. */
  #cut(): void {
    const { wires } = this.#parts.network;
    for (const [one, other] of this.#ways()) {
      wires.cut(one, other);
      one.trouble(Infinity);
    }
  }

  #mend(): void {
    const { wires } = this.#parts.network;
    for (const [one, other] of this.#ways()) wires.mend(one, other);
  }

  *#ways(): Generator<readonly [Host, Host]> {
    const { managers, agents } = this.#hosts;
    const others = [...managers.filter((host) => !this.#lost.has(host)), ...agents];
    for (const lost of this.#lost) {
      if (!lost.isApart) continue;
      for (const other of others) {
        yield [lost.host, other.host];
        yield [other.host, lost.host];
      }
    }
  }

  /** What runs now runs on, unless somebody wants it otherwise. */
  #watchContainers(): void {
    const { marks } = this.#parts;
    const running = this.#hosts.agents.flatMap(({ engine }) =>
      engine.running.map(({ task }) => ({ engine, task })),
    );
    this.#after(lookAfterMs, () => {
      if (running.some(({ engine, task }) => engine.isRunning(task.id))) {
        marks.hit('a container ran on through a rebuild');
      }
    });
  }

  #after(ms: number, run: () => void): void {
    this.#parts.kernel.after(ms, undefined, () => {
      if (!this.#isOver) run();
    });
  }
}

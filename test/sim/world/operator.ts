import { isSwarmError } from '../../../src/runtime/index.ts';
import { Stream } from '../kernel/streams.ts';
import { type Desk, doing } from './deeds.ts';
import type { ManagerHost } from './manager-host.ts';
import type { Parts } from './parts.ts';
import type { Deed } from './plan.ts';

/** A person who uses the control API. What they were told is true from then on. */
export class Operator {
  readonly #parts: Parts;
  readonly #managers: readonly ManagerHost[];
  readonly #chance: Stream;

  constructor(parts: Parts, managers: readonly ManagerHost[]) {
    this.#parts = parts;
    this.#managers = managers;
    this.#chance = new Stream(parts.seed, 'operator');
  }

  /** Does something at a manager that runs, if there is one: most often at the one that leads. */
  do(deed: Deed): void {
    const { kernel, marks, checks } = this.#parts;
    const up = this.#managers.filter(({ manager }) => manager !== undefined);
    const leader = up.find(({ manager }) => manager?.isLeader === true);
    const at = up.length > 1 && this.#chance.chance(0.3) ? this.#chance.pick(up) : leader;
    if (at?.manager === undefined || at.running === undefined) return;
    const { manager, running, life } = at;
    const desk: Desk = {
      client: manager.client,
      view: (read) => running.store.view(read),
      mark: (mark) => {
        marks.hit(mark);
      },
      overlaps: (serviceId) => checks.overlaps.add(serviceId),
      givesUp: (taskId) => {
        checks.tasks.givenUp(taskId);
      },
    };
    kernel.within(life, () => {
      void this.#carryOut(at, desk, deed);
    });
  }

  async #carryOut(at: ManagerHost, desk: Desk, deed: Deed): Promise<void> {
    const { checks, marks } = this.#parts;
    at.waiting += 1;
    // Each kind has its own; which one it is does not matter here.
    const carryOut = doing[deed.kind] as (desk: Desk, deed: Deed) => Promise<number | undefined>;
    try {
      const told = await carryOut(desk, deed);
      if (told !== undefined) checks.acknowledged(told);
    } catch (error) {
      if (!isSwarmError(error)) checks.broke(`operator (${deed.kind})`, error);
      else if (deed.kind === 'demote' && error.code === 'failed-precondition') {
        marks.hit('a demotion was refused');
      }
    } finally {
      at.waiting -= 1;
    }
  }
}

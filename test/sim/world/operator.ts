import { isSwarmError } from '../../../src/runtime/index.ts';
import { Stream } from '../kernel/streams.ts';
import { type Desk, doing } from './deeds.ts';
import type { Desks } from './desks.ts';
import type { Departures } from './group/departures.ts';
import type { Rebuilding } from './group/rebuilding.ts';
import type { ManagerHost } from './manager-host.ts';
import type { Parts } from './parts.ts';
import type { Deed } from './plan/plan.ts';

/** What people do at the hosts themselves. */
interface Also {
  readonly departures: Departures;
  readonly rebuilding: Rebuilding;
}

/** A person who uses the control API. What they were told is true from then on. */
export class Operator {
  readonly #parts: Parts;
  readonly #desks: Desks;
  readonly #departures: Departures;
  readonly #rebuilding: Rebuilding;
  readonly #chance: Stream;

  constructor(parts: Parts, desks: Desks, also: Also) {
    this.#parts = parts;
    this.#desks = desks;
    this.#departures = also.departures;
    this.#rebuilding = also.rebuilding;
    this.#chance = new Stream(parts.seed, 'operator');
  }

  /** Does something at a manager that runs, if there is one: most often at the one that leads. */
  do(deed: Deed): void {
    if (deed.kind === 'leave') {
      this.#departures.leave(deed.host);
      return;
    }
    if (deed.kind === 'rebuild') {
      this.#rebuilding.do(deed);
      return;
    }
    const { up, leader } = this.#desks;
    const at = up.length > 1 && this.#chance.chance(0.3) ? this.#chance.pick(up) : leader;
    const desk = at && this.#desks.at(at);
    if (at === undefined || desk === undefined) return;
    this.#parts.kernel.within(at.life, () => {
      void this.#carryOut(at, desk, deed);
    });
  }

  async #carryOut(
    at: ManagerHost,
    desk: Desk,
    deed: Exclude<Deed, { kind: 'leave' | 'rebuild' }>,
  ): Promise<void> {
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
      } else if (deed.kind === 'remove-node' && error.code === 'failed-precondition') {
        marks.hit('a removal was refused');
      }
    } finally {
      at.waiting -= 1;
    }
  }
}

import { absentMessages } from '../../../src/manager/dispatcher/node-watch.ts';
import type { ObjectEvent } from '../../../src/manager/store/events.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Host } from '../ports/host.ts';
import type { Setting } from '../world/setting.ts';

/** Where all was well for so long nobody is silent: the longest grace is six periods of 10 s. */
const longMs = 70_000;

/** A manager's host, as agents find it. */
interface Seat {
  readonly host: Host;
  readonly address: string;
}

/** A worker, as managers hear it. */
interface Worker {
  readonly host: Host;
  readonly isDown: boolean;
  readonly isLeaving: boolean;
  /** Until then it does not know the heartbeat period, and may pause for longer. docs/limits.md */
  readonly hasHadSession: boolean;
  /** The managers it knows. */
  readonly addresses: readonly string[];
}

/** Who leads, and since when. */
export interface Leadership {
  readonly seat: Seat;
  readonly since: number;
}

/**
 * After a change of leader no node is called down before its agent had a fair chance to come back: not
 * one with which all was well since then, as with all managers.
 */
export class SilenceRules {
  readonly #kernel: Kernel;
  readonly #seats: readonly Seat[];
  readonly #workers: readonly Worker[];
  /** Where packets are lost, and disks stall, silence may be nobody's fault. */
  readonly #isCalm: boolean;

  constructor(
    kernel: Kernel,
    seats: readonly Seat[],
    workers: readonly Worker[],
    { weather, disk }: Pick<Setting, 'weather' | 'disk'>,
  ) {
    this.#kernel = kernel;
    this.#seats = seats;
    this.#workers = workers;
    this.#isCalm = weather.loss === 0 && disk.stallChance === 0;
  }

  /** Everything that one entry did, and who wrote it, if that is who leads now. */
  take(events: readonly ObjectEvent[], writer: () => Leadership | undefined): void {
    if (!this.#isCalm) return;
    for (const { kind, action, object } of events) {
      if (kind !== 'node' || action !== 'updated' || object.status?.state !== 'DOWN') continue;
      if (object.status.message !== absentMessages.unknown) continue;
      const worker = this.#workers.find(({ host }) => host.nodeId === object.id);
      if (worker === undefined) continue;
      const leadership = writer();
      if (leadership !== undefined) this.#check(worker, leadership);
    }
  }

  #check(worker: Worker, { seat, since }: Leadership): void {
    const { host, addresses } = worker;
    if (worker.isDown || worker.isLeaving || !worker.hasHadSession) return;
    const isThere = (address: string): boolean =>
      this.#seats.some((each) => each.address === address);
    if (!addresses.includes(seat.address) || !addresses.every(isThere)) return; // One has moved.
    // It may have been at one that it does not know any more.
    const wellSince = Math.max(...[worker, ...this.#seats].map((each) => each.host.wellSince));
    const { now } = this.#kernel;
    if (wellSince > since && wellSince > now - longMs) return;
    this.#kernel.violate(
      'who-is-well-is-not-called-down',
      `${host.nodeId} is called down: all is well since ${wellSince}, with a leader since ${since}; it asks ${addresses.join(' ')}`,
    );
  }
}

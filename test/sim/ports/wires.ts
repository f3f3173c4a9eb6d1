import type { Kernel } from '../kernel/kernel.ts';
import { Stream } from '../kernel/streams.ts';
import type { Host } from './host.ts';

/** How a network behaves where no fault is. */
export interface Weather {
  /** The time a message takes, in milliseconds: at least, and on average beyond that. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** How often a packet is lost, and sent again after a while. */
  readonly loss: number;
  /** How often a request arrives twice, where it may. */
  readonly repeat: number;
  /** How often a message of Raft that has a call of its own arrives again, and late. */
  readonly repeatLate: number;
}

/** A lost packet is sent again after this, twice this, … TCP's first timeout. */
const resendMs = 200;
const resendsMax = 6;

/** What arrives late does so after one of these, on average: among others, or after them all. */
const lateMs = [10, 1_000] as const;

/** One direction of a connection: what it carries arrives in order. */
export interface Pipe {
  /** When the last of it arrives. */
  arrivesAt: number;
}

/** One direction between two hosts. */
class Wire {
  readonly chance: Stream;
  /** What waits for the wire to be whole again; absent while it is. */
  held: (() => void)[] | undefined;
  clogUntil = 0;
  loss = 0;

  constructor(seed: string, from: Host, to: Host) {
    this.chance = new Stream(seed, `net ${from.number}>${to.number}`);
  }
}

/**
 * What lies between hosts. It behaves as TCP does: what is lost is sent again, so loss is delay;
 * what is cut off arrives once the wire is whole again; and each connection keeps its order.
 */
export class Wires {
  readonly #kernel: Kernel;
  readonly #seed: string;
  readonly #wires = new Map<number, Wire>();
  weather: Weather;
  /** Called when what was held up goes on its way. */
  onLate: () => void = () => undefined;

  constructor(kernel: Kernel, seed: string, weather: Weather) {
    this.#kernel = kernel;
    this.#seed = seed;
    this.weather = weather;
  }

  /** Carries something from a host to another; in order, if it goes through a pipe. */
  carry(from: Host, to: Host, pipe: Pipe | undefined, deliver: () => void): void {
    if (!from.isUp) return;
    const wire = this.#wire(from, to);
    const isLocal = from === to;
    if (wire.held !== undefined && !isLocal) {
      wire.held.push(() => {
        this.carry(from, to, pipe, deliver);
      });
      return;
    }
    const { now } = this.#kernel;
    let at = now + this.#delay(wire, isLocal);
    if (pipe !== undefined) {
      at = Math.max(at, pipe.arrivesAt, isLocal ? 0 : wire.clogUntil);
      pipe.arrivesAt = at;
    }
    this.#kernel.after(at - now, undefined, () => {
      if (to.isUp) deliver();
    });
  }

  /** Whether a request that may arrive twice does. */
  repeats(from: Host, to: Host): boolean {
    return this.#wire(from, to).chance.chance(this.weather.repeat);
  }

  /** How late a message of Raft arrives again, if it does: Raft bears that it overtakes, and is overtaken. */
  repeatsAfter(from: Host, to: Host): number | undefined {
    const { chance } = this.#wire(from, to);
    if (!chance.chance(this.weather.repeatLate)) return undefined;
    return chance.exponential(chance.pick(lateMs));
  }

  /** Nothing passes from a host to another until it is mended. */
  cut(from: Host, to: Host): void {
    this.#wire(from, to).held ??= [];
  }

  mend(from: Host, to: Host): void {
    const wire = this.#wire(from, to);
    const held = wire.held ?? [];
    wire.held = undefined;
    if (held.length > 0) this.onLate();
    for (const release of held) release();
  }

  /** Everything from a host to another is late by up to `ms`. */
  clog(from: Host, to: Host, ms: number): void {
    this.#wire(from, to).clogUntil = this.#kernel.now + ms;
  }

  /** From now on this part of all packets is lost, beside what the weather takes. */
  lose(from: Host, to: Host, loss: number): void {
    this.#wire(from, to).loss = loss;
  }

  /** Ends every fault. */
  heal(): void {
    for (const wire of this.#wires.values()) {
      wire.clogUntil = 0;
      wire.loss = 0;
      const held = wire.held ?? [];
      wire.held = undefined;
      for (const release of held) release();
    }
  }

  #delay({ chance, loss }: Wire, isLocal: boolean): number {
    if (isLocal) return 0.05;
    const { delayMs, jitterMs, loss: always } = this.weather;
    let ms = delayMs + chance.exponential(jitterMs);
    const lost = loss + always;
    if (lost === 0) return ms;
    for (let tries = 0; tries < resendsMax && chance.chance(lost); tries += 1) {
      ms += resendMs * 2 ** tries;
    }
    return ms;
  }

  #wire(from: Host, to: Host): Wire {
    const key = from.number * 65_536 + to.number;
    const known = this.#wires.get(key);
    if (known !== undefined) return known;
    const wire = new Wire(this.#seed, from, to);
    this.#wires.set(key, wire);
    return wire;
  }
}

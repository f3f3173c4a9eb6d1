import { Agenda, Event, type Timer } from './agenda.ts';

export type { Timer } from './agenda.ts';

/**
 * One process of the simulated world. A process that has died runs nothing any more: what was due
 * to it is dropped, and what it was waiting for never comes. One that is paused runs it all later.
 */
export class Life {
  isAlive = true;
  isPaused = false;
  /** What came while it was paused, in order. */
  readonly held: (() => void)[] = [];
}

/** Runs every microtask there is, and those they make, before it returns. Not typed, not documented. */
const settle = Reflect.get(process, '_tickCallback') as () => void;

/** A promise was broken: the run ends here. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** Which rule. */
  readonly rule: string;
  readonly at: number;

  constructor(rule: string, message: string, at: number) {
    super(message);
    this.rule = rule;
    this.at = at;
  }
}

/**
 * The event loop of a simulated world: events by (time, order), each followed by everything that
 * it brings about. Nothing happens at any other time, so the order of events is the whole history,
 * and {@link hash} tells two histories apart.
 */
export class Kernel {
  /** Milliseconds since the world began. */
  now = 0;
  events = 0;
  /** Runs after each event and its consequences. */
  afterEach: () => void = () => undefined;
  violation: Violation | undefined;
  #order = 0;
  #sameTime = 0;
  readonly #agenda = new Agenda();
  #low = 0x811c9dc5;
  #high = 0x01000193;

  /** What happened so far, in 16 hexadecimal digits. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low);
  }

  /** Folds a fact into the history. */
  note(fact: number): void {
    this.#low = Math.imul(this.#low ^ (fact | 0), 0x01000193);
    this.#high = Math.imul(this.#high ^ (this.#low >>> 15) ^ (fact | 0), 0x85ebca6b);
  }

  /** Has `run` happen `ms` from now, in a process, if it still lives then. */
  after(ms: number, life: Life | undefined, run: () => void): Timer {
    this.#order += 1;
    const time = this.now + Math.max(0, ms);
    const event = new Event(this.#agenda, { time, order: this.#order, life, run });
    this.#agenda.push(event);
    return event;
  }

  /** Runs something in a process: now, later if it is paused, never if it is dead. */
  within(life: Life, run: () => void): void {
    if (!life.isAlive) return;
    if (life.isPaused) life.held.push(run);
    else run();
  }

  pause(life: Life): void {
    life.isPaused = true;
  }

  /** The process goes on: everything it missed happens now, in order. */
  resume(life: Life): void {
    life.isPaused = false;
    for (const run of life.held.splice(0)) this.after(0, life, run);
  }

  /** Ends the run: a rule was broken. The first one counts. */
  violate(rule: string, message: string): void {
    this.violation ??= new Violation(rule, message, this.now);
  }

  /** Runs the world up to a time. Not within a microtask: they are run here. */
  runUntil(time: number): void {
    settle();
    while (this.violation === undefined) {
      const event = this.#agenda.peek();
      if (event === undefined || event.time > time) break;
      const { run, life } = event;
      this.#agenda.pop();
      if (run === undefined || life?.isAlive === false) continue;
      this.#sameTime = event.time > this.now ? 0 : this.#sameTime + 1;
      if (this.#sameTime > eventsAtOnceMax) this.violate('time-goes-on', 'it stands still');
      this.now = event.time;
      this.events += 1;
      this.note(event.order);
      this.note(event.time * 1_000);
      if (life === undefined) run();
      else this.within(life, run);
      settle();
      this.afterEach();
    }
    this.now = Math.max(this.now, time);
  }
}

/** More events at one and the same time are a circle. */
const eventsAtOnceMax = 100_000;

const hex = (lane: number): string => (lane >>> 0).toString(16).padStart(8, '0');

import { type Clock, Heap, newId, type Random, SwarmError } from '../../runtime/index.ts';

/** More than so many registrations of a node, each soon after the last, are refused. */
const registrationsMax = 3;
const registrationPeriodMs = 8_000;

/** Deadlines are looked at this often at least, and none is set that is nearer than this. */
const tickMs = 1_000;

/** A process that wakes so much too late was not able to hear anybody. */
const stallMs = 500;

/** A node that beats, or one that a new leader waits for. */
interface Session {
  readonly nodeId: string;
  /** Absent while the node is only waited for. */
  readonly id: string | undefined;
  /** When the node was heard last and when it counts as down, by the monotonic clock. */
  heardAt: number;
  deadline: number;
  /** Present while its agent is awaited back sooner than its grace demands. */
  graceDeadline: number | undefined;
}

/** A node that was silent for too long. */
export interface Expired {
  readonly nodeId: string;
  readonly cause: Absence;
}

/**
 * Why a node is taken to be away: it was `silent`; it was `unknown`, not heard of since this manager
 * leads; its agent is `gone` and did not come back.
 */
export type Absence = 'silent' | 'unknown' | 'gone';

/** So many agents, or this part of all, that are away at once are not dead: it is the network. */
const crowd = { min: 5, part: 0.1 };

/**
 * Which nodes are registered here, and until when each must be heard again. All deadlines are in
 * one heap, and one sleeper watches it.
 */
export class NodeSessions {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sessions = new Map<string, Session>();
  readonly #alarms = new Heap<{ readonly at: number; readonly session: Session }>(
    (a, b) => a.at - b.at,
  );
  /** Those whose agents are awaited back. */
  readonly #awaited = new Set<Session>();
  /** Until then nobody is awaited back sooner than by its grace. */
  #crowdUntil = -Infinity;
  readonly #registrations = new Map<string, { readonly count: number; readonly at: number }>();

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Counts a registration. A node that registers too often is refused, but it is not silent.
   *
   * @throws SwarmError unavailable, if the node registers too often
   */
  admit(nodeId: string, graceMs: number): void {
    const now = this.#clock.monotonic();
    const last = this.#registrations.get(nodeId);
    const isSoon = last !== undefined && now - last.at <= registrationPeriodMs;
    const count = isSoon ? last.count + 1 : 1;
    if (count > registrationsMax) {
      this.#heard(nodeId, graceMs);
      throw new SwarmError(
        'unavailable',
        `node ${nodeId} exceeded rate limit count of registrations`,
      );
    }
    this.#registrations.set(nodeId, { count, at: now });
  }

  /**
   * Opens a session; an older one of the node ends.
   *
   * @returns the ID of the session
   */
  open(nodeId: string, graceMs: number): string {
    const id = newId(this.#random);
    this.#add(nodeId, id, graceMs);
    return id;
  }

  /** Waits for a node to register, unless it has. */
  expect(nodeId: string, graceMs: number): void {
    if (!this.has(nodeId)) this.#add(nodeId, undefined, graceMs);
  }

  /**
   * Notes that a node was heard.
   *
   * @throws what {@link check} throws
   */
  beat(nodeId: string, sessionId: string, graceMs: number): void {
    this.check(nodeId, sessionId);
    this.#heard(nodeId, graceMs);
  }

  /**
   * An agent has gone, and if it lives it is back soon: until then, and no longer, its node is waited
   * for. Unless a crowd of them goes at once: then it is not the agents, and each has its grace.
   *
   * @throws what {@link check} throws
   */
  awaitReturn(nodeId: string, sessionId: string, withinMs: number): void {
    this.check(nodeId, sessionId);
    const session = this.#sessions.get(nodeId);
    if (session === undefined || this.#awaited.has(session)) return;
    const now = this.#clock.monotonic();
    const most = Math.max(crowd.min, this.#sessions.size * crowd.part);
    if (now < this.#crowdUntil || this.#awaited.size >= most) {
      this.#crowdUntil = now + withinMs;
      for (const other of this.#awaited) {
        other.deadline = other.graceDeadline ?? other.deadline;
        this.#forgive(other);
      }
      return;
    }
    this.#awaited.add(session);
    session.graceDeadline = session.deadline;
    session.deadline = Math.min(session.deadline, now + withinMs);
    this.#alarms.push({ at: session.deadline, session });
  }

  /**
   * @throws SwarmError not-found, if the node is not registered; invalid-argument, if it is with
   *   another session
   */
  check(nodeId: string, sessionId: string): void {
    const session = this.#sessions.get(nodeId);
    if (session === undefined) throw new SwarmError('not-found', 'node not registered');
    if (session.id === undefined || session.id !== sessionId) {
      throw new SwarmError('invalid-argument', 'session invalid');
    }
  }

  /** Whether a session is the node's current one. */
  isOpen(nodeId: string, sessionId: string): boolean {
    return sessionId !== '' && this.#sessions.get(nodeId)?.id === sessionId;
  }

  /** Whether a node is registered or waited for. */
  has(nodeId: string): boolean {
    return this.#sessions.has(nodeId);
  }

  /** Whether a node is waited for and has not registered. */
  isExpected(nodeId: string): boolean {
    const session = this.#sessions.get(nodeId);
    return session !== undefined && session.id === undefined;
  }

  /** Ends a node's session. */
  close(nodeId: string): void {
    const session = this.#sessions.get(nodeId);
    if (session === undefined) return;
    this.#sessions.delete(nodeId);
    this.#forgive(session);
  }

  /**
   * Waits until nodes have been silent for too long, and ends their sessions. Time in which this
   * process itself did not run does not count against anybody.
   */
  async nextExpired(signal: AbortSignal): Promise<readonly Expired[]> {
    for (;;) {
      const expired = this.#takeExpired();
      if (expired.length > 0) return expired;
      await this.#tick(signal);
    }
  }

  #add(nodeId: string, id: string | undefined, graceMs: number): void {
    this.close(nodeId);
    const heardAt = this.#clock.monotonic();
    const deadline = heardAt + graceMs;
    const session: Session = { nodeId, id, heardAt, deadline, graceDeadline: undefined };
    this.#sessions.set(nodeId, session);
    this.#alarms.push({ at: session.deadline, session });
  }

  #heard(nodeId: string, graceMs: number): void {
    const session = this.#sessions.get(nodeId);
    if (session === undefined) return;
    session.heardAt = this.#clock.monotonic();
    session.deadline = session.heardAt + graceMs;
    this.#forgive(session);
  }

  /** It is awaited no sooner than by its grace any more. */
  #forgive(session: Session): void {
    session.graceDeadline = undefined;
    this.#awaited.delete(session);
  }

  async #tick(signal: AbortSignal): Promise<void> {
    const start = this.#clock.monotonic();
    const next = this.#alarms.peek()?.at ?? Infinity;
    const wait = Math.max(0, Math.min(tickMs, next - start));
    await this.#clock.sleep(wait, signal);
    const now = this.#clock.monotonic();
    const late = now - start - wait;
    if (late > stallMs) {
      for (const session of this.#sessions.values()) session.deadline += late;
    }
    for (const [nodeId, { at }] of this.#registrations) {
      if (now - at > registrationPeriodMs) this.#registrations.delete(nodeId);
    }
  }

  #causeOf(session: Session): Absence {
    if (this.#awaited.has(session)) return 'gone';
    return session.id === undefined ? 'unknown' : 'silent';
  }

  #takeExpired(): readonly Expired[] {
    const now = this.#clock.monotonic();
    const expired: Expired[] = [];
    for (let alarm = this.#alarms.peek(); alarm !== undefined; alarm = this.#alarms.peek()) {
      if (alarm.at > now) break;
      this.#alarms.pop();
      const { session } = alarm;
      if (this.#sessions.get(session.nodeId) !== session) continue; // It was replaced or closed.
      if (session.deadline > now) {
        this.#alarms.push({ at: session.deadline, session });
        continue;
      }
      expired.push({ nodeId: session.nodeId, cause: this.#causeOf(session) });
      this.close(session.nodeId);
    }
    return expired;
  }
}

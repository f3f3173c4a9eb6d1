import type { RpcConnection } from '../../api/index.ts';
import {
  type ChildAbort,
  childOf,
  type Clock,
  type Log,
  orAborted,
  type Random,
  SwarmError,
} from '../../runtime/index.ts';
import type { Message, RaftId } from '../core/types.ts';
import { sendMsMax } from './courier.ts';
import { Peer, type PeerReports } from './peer.ts';

/** What the transport asks of the driver, and tells it. */
interface RaftPort extends PeerReports {
  /** Where a member is reached; `undefined`, if it is none that is known. */
  addressOf(id: RaftId): string | undefined;
  /** All members that are known, this one too. */
  members(): ReadonlyArray<{ readonly raftId: RaftId }>;
  status(): { readonly raftId: RaftId };
}

interface TransportDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** A way to call the manager at `host:port`. It connects with the first call. */
  readonly connect: (address: string) => RpcConnection;
  /** Where this manager is found: `host:port`. */
  readonly advertise: string;
}

interface Link {
  readonly peer: Peer;
  readonly life: ChildAbort;
  readonly ended: Promise<void>;
  /** Since when it is no member any more. */
  goneAt: number | undefined;
}

/** A member that was removed is sent its last messages within this time. swarmkit transport.go */
const lingerMs = 8_000;

/** The ways to all other members. */
export class Transport {
  readonly #deps: TransportDeps;
  readonly #links = new Map<RaftId, Link>();
  /** Addresses of members that are not in our log yet. */
  readonly #hints = new Map<RaftId, string>();
  /** Where members say themselves that they are, while our log says something else. */
  readonly #moved = new Map<RaftId, { readonly from: string; readonly to: string }>();
  readonly #resolving = new Set<RaftId>();
  #running: { readonly raft: RaftPort; readonly signal: AbortSignal } | undefined;
  #fail: (error: unknown) => void = () => undefined;

  constructor(deps: TransportDeps) {
    this.#deps = deps;
  }

  /** Where a member is, as somebody else has said; our own log knows better, once it has it. */
  learn(id: RaftId, address: string): void {
    this.#hints.set(id, address);
  }

  /**
   * Where a member is that has sent something, by its own word. A log that is far behind names the
   * address that it had then: what it sends later says so again.
   */
  hear(id: RaftId, address: string): void {
    if (this.#running?.raft.addressOf(id) === undefined) this.learn(id, address);
    else this.meet(id, address);
  }

  /**
   * Where a member says itself that it is: so it is, until our log names yet another address.
   *
   * @returns whether that is news
   */
  meet(id: RaftId, to: string): boolean {
    const from = this.#running?.raft.addressOf(id);
    if (from === undefined || this.addressOf(id) === to) return false;
    this.#moved.set(id, { from, to });
    return true;
  }

  /** Where messages to a member go; `undefined`, if it is nowhere known. */
  addressOf(id: RaftId): string | undefined {
    const address = this.#running?.raft.addressOf(id);
    if (address === undefined) return this.#hints.get(id);
    this.#hints.delete(id);
    const moved = this.#moved.get(id);
    if (moved?.from === address) return moved.to;
    this.#moved.delete(id);
    return address;
  }

  /** Takes messages for peers. It never waits; until it runs, and for nobody known, it drops them. */
  readonly send = (messages: readonly Message[]): void => {
    if (this.#running === undefined) return;
    this.#prune();
    for (const message of messages) {
      const link = this.#linkTo(message.to);
      if (link === undefined) this.#resolve(message.to);
      else link.peer.push(message);
    }
  };

  /** Delivers what is sent until the signal aborts. */
  async run(raft: RaftPort, signal: AbortSignal): Promise<void> {
    using life = childOf(signal);
    const broken = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    this.#running = { raft, signal: life.signal };
    try {
      await orAborted(broken, signal);
    } finally {
      this.#running = undefined;
      life.abort(signal.reason);
      await Promise.allSettled([...this.#links.values()].map(async ({ ended }) => ended));
      this.#links.clear();
    }
  }

  #linkTo(id: RaftId): Link | undefined {
    const address = this.addressOf(id);
    const known = this.#links.get(id);
    if (known !== undefined) {
      if (address !== undefined) known.peer.moveTo(address);
      return known;
    }
    if (address === undefined || this.#running === undefined) return undefined;
    const { raft, signal } = this.#running;
    const peer = new Peer({ ...this.#deps, reports: raft }, id, address);
    const life = childOf(signal);
    const ended = peer.run(life.signal);
    ended.catch(this.#fail);
    const link: Link = { peer, life, ended, goneAt: undefined };
    this.#links.set(id, link);
    return link;
  }

  /** Ends the ways to members that were removed a while ago. */
  #prune(): void {
    const now = this.#deps.clock.monotonic();
    for (const [id, link] of this.#links) {
      if (this.addressOf(id) !== undefined) {
        link.goneAt = undefined;
        continue;
      }
      link.goneAt ??= now;
      if (now - link.goneAt < lingerMs) continue;
      link.life.abort();
      link.life[Symbol.dispose]();
      this.#links.delete(id);
    }
  }

  /** Asks the others where a member is that has written to us before our log names it. */
  #resolve(id: RaftId): void {
    const running = this.#running;
    if (running === undefined || this.#resolving.has(id)) return;
    this.#resolving.add(id);
    this.#ask(id, running)
      .catch(this.#fail)
      .finally(() => this.#resolving.delete(id));
  }

  async #ask(
    id: RaftId,
    { raft, signal }: { readonly raft: RaftPort; readonly signal: AbortSignal },
  ): Promise<void> {
    const self = raft.status().raftId;
    const others = raft.members().filter(({ raftId }) => raftId !== id && raftId !== self);
    const answers = others.map(async ({ raftId }) => {
      const link = this.#linkTo(raftId);
      if (link === undefined) throw new SwarmError('not-found', `member ${raftId} is nowhere`);
      const options = { signal, deadlineMs: sendMsMax };
      return link.peer.connection.unary('Raft', 'ResolveAddress', { raftId: id }, options);
    });
    const answer = await Promise.any(answers).catch(() => undefined); // It writes again, if it lives.
    if (answer !== undefined) this.learn(id, answer.addr);
  }
}

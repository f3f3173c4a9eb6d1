import type { Connect, ConnectOptions, TlsMaterial } from '../../ca/index.ts';
import { connectRpc, type RpcConnection, type RpcTarget } from '../../api/index.ts';
import { isSwarmError, type Random, SwarmError } from '../../runtime/index.ts';
import type { ManagerConnection, Managers } from '../../worker/index.ts';

/** A manager as this node knows it. */
export interface KnownManager {
  /** Empty, if it is known only by the address it was joined at. */
  readonly nodeId: string;
  /** `host:port` */
  readonly addr: string;
}

/**
 * How much one good or bad experience counts. A manager of whom nothing is known is worth a good one:
 * whoever did not answer is not asked again before the others. swarmkit remotes/remotes.go
 */
const observed = { good: 10, bad: -10 } as const;
const weightMax = 256;

/**
 * The managers this node knows, weighted by how calls to them went, and the ways to call them.
 *
 * A node that is a manager itself calls itself, over its own socket. The others are remembered
 * across restarts.
 */
export class Remotes implements Managers {
  readonly #random: Random;
  readonly #identity: () => TlsMaterial | undefined;
  readonly #remember: (managers: readonly KnownManager[]) => void;
  readonly #weights = new Map<string, number>();
  #known: readonly KnownManager[];
  #ownSocket: string | undefined;

  constructor(
    deps: {
      readonly random: Random;
      /** What this node proves itself with, once it has something. */
      readonly identity: () => TlsMaterial | undefined;
      /** Writes down the managers known now. */
      readonly remember: (managers: readonly KnownManager[]) => void;
    },
    known: readonly KnownManager[],
  ) {
    this.#random = deps.random;
    this.#identity = deps.identity;
    this.#remember = deps.remember;
    this.#known = known;
  }

  get known(): readonly KnownManager[] {
    return this.#known;
  }

  /** From now on this node's own manager is called, over its socket; or no longer. */
  preferOwn(socketPath: string | undefined): void {
    this.#ownSocket = socketPath;
  }

  /** Forgets all others: these are the managers to start from. */
  startFrom(addresses: readonly string[]): void {
    this.#known = addresses.map((addr) => ({ nodeId: '', addr }));
    this.#weights.clear();
  }

  /** There may be managers at these addresses, too. */
  try(addresses: readonly string[]): void {
    const news = addresses.filter((addr) => !this.#known.some((known) => known.addr === addr));
    this.#known = [...this.#known, ...news.map((addr) => ({ nodeId: '', addr }))];
  }

  learn(peers: readonly KnownManager[]): void {
    if (peers.length === 0) return;
    const known = peers
      .map(({ nodeId, addr }) => ({ nodeId, addr }))
      .toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    if (JSON.stringify(known) === JSON.stringify(this.#known)) return;
    this.#known = known;
    for (const address of this.#weights.keys()) {
      if (!known.some(({ addr }) => addr === address)) this.#weights.delete(address);
    }
    this.#remember(known);
  }

  connect(failed?: string): ManagerConnection {
    if (this.#ownSocket !== undefined) {
      const path = this.#ownSocket;
      return { ...connectRpc({ kind: 'socket', path }), address: path, observe: () => undefined };
    }
    const identity = this.#identity();
    if (identity === undefined) throw noIdentity();
    const address = this.#pick(failed);
    const { rootCaPem: ca, certPem: cert, keyPem: key } = identity;
    const target = { kind: 'tls', address, serverName: 'swarm-manager', ca } as const;
    return {
      ...connectRpc({ ...target, identity: { cert, key } }),
      address,
      observe: (outcome) => {
        const weight = Math.ceil((observed[outcome] + this.#weightOf(address)) / 2);
        this.#weights.set(address, Math.max(-weightMax, Math.min(weightMax, weight)));
      },
    };
  }

  /** The way enrolment and renewal call managers: each in turn, the best known first. */
  readonly connectAny: Connect = (options) => {
    if (this.#ownSocket !== undefined && options.identity !== undefined) {
      return connectRpc({ kind: 'socket', path: this.#ownSocket });
    }
    return connectEach(this.#bestFirst(), options);
  };

  /**
   * A way to the other managers, as a manager: the way by which this node's own becomes one of them.
   *
   * @throws SwarmError unavailable, if none is known
   */
  connectOthers(): RpcConnection {
    const identity = this.#identity();
    if (identity === undefined) throw noIdentity();
    const verify = { rootCaPem: identity.rootCaPem, serverName: 'swarm-manager' } as const;
    return connectEach(this.#bestFirst(), { verify, identity });
  }

  /** Whether it knows managers besides its own. */
  get hasOthers(): boolean {
    const nodeId = this.#identity()?.nodeId;
    return this.#known.some((known) => known.nodeId === '' || known.nodeId !== nodeId);
  }

  /**
   * Those to call over the network: a node's own manager is called over its socket, or does not
   * answer. Where it is the only one known it is better than none.
   */
  get #others(): readonly KnownManager[] {
    const nodeId = this.#identity()?.nodeId;
    const others = this.#known.filter((known) => known.nodeId === '' || known.nodeId !== nodeId);
    return others.length > 0 ? others : this.#known;
  }

  #bestFirst(): readonly string[] {
    return this.#others
      .map(({ addr }) => addr)
      .toSorted((a, b) => this.#weightOf(b) - this.#weightOf(a));
  }

  #weightOf(address: string): number {
    return this.#weights.get(address) ?? observed.good;
  }

  hasOther(address: string): boolean {
    return this.#ownSocket === undefined && this.#others.some(({ addr }) => addr !== address);
  }

  /** One of them, by chance and by weight; not the one that failed, unless there is no other. */
  #pick(failed: string | undefined): string {
    const left = this.#others.filter(({ addr }) => addr !== failed);
    const choices = (left.length > 0 ? left : this.#others).map(({ addr }) => ({
      addr,
      weight: Math.max(this.#weightOf(addr), 0) * 1_000 + 1,
    }));
    const total = choices.reduce((sum, { weight }) => sum + weight, 0);
    if (total === 0) throw new SwarmError('unavailable', 'no manager is known to this node');
    let at = this.#random.integer(total);
    for (const { addr, weight } of choices) {
      at -= weight;
      if (at < 0) return addr;
    }
    throw new SwarmError('unavailable', 'no manager is known to this node');
  }
}

const noIdentity = (): SwarmError =>
  new SwarmError('unavailable', 'this node has no identity to call a manager with');

function targetOf(address: string, { verify, identity }: ConnectOptions): RpcTarget {
  const target = {
    kind: 'tls',
    address,
    serverName: verify === 'none' ? 'swarm-ca' : verify.serverName,
    ...(verify === 'none' ? {} : { ca: verify.rootCaPem }),
  } as const;
  if (identity === undefined) return target;
  return { ...target, identity: { cert: identity.certPem, key: identity.keyPem } };
}

/** A connection that asks the next manager where one cannot be reached. Streams go to the first. */
function connectEach(addresses: readonly string[], options: ConnectOptions): RpcConnection {
  const open = addresses.map((address) => ({
    address,
    connection: connectRpc(targetOf(address, options)),
  }));
  const [first] = open;
  if (first === undefined) throw new SwarmError('unavailable', 'no manager is known to this node');
  return {
    unary: async (service, method, request, callOptions) => {
      const failures: string[] = [];
      for (const { address, connection } of open) {
        try {
          return await connection.unary(service, method, request, callOptions);
        } catch (error) {
          if (!isSwarmError(error, 'unavailable')) throw error;
          failures.push(`${address}: ${error.message}`);
        }
      }
      throw new SwarmError('unavailable', `no manager could be reached (${failures.join('; ')})`);
    },
    serverStream: (...call) => first.connection.serverStream(...call),
    clientStream: async (...call) => first.connection.clientStream(...call),
    [Symbol.dispose]: () => {
      for (const { connection } of open) connection[Symbol.dispose]();
    },
  };
}

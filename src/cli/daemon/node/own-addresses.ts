import { type ClusterAddresses, clusterAddresses, parseHostPort } from '../addresses.ts';
import { type DaemonConfig, defaults } from '../config.ts';
import { addressTowards, hostInterfaces } from '../host.ts';
import type { NodeState } from '../state-dir.ts';

/** Where a node was told to listen and be found, as it was told. */
export type AskedAddresses = Pick<DaemonConfig, 'listenAddr' | 'advertiseAddr'>;

/** What its flags say; else what it was told by `swarm init` or `join`. */
const askedAddresses = (config: AskedAddresses, state: NodeState | undefined): AskedAddresses => ({
  listenAddr:
    config.listenAddr === defaults.listenAddr
      ? (state?.listenAddr ?? defaults.listenAddr)
      : config.listenAddr,
  advertiseAddr: config.advertiseAddr || (state?.advertiseAddr ?? ''),
});

/** A manager that goes on alone stays where it is, unless it is told otherwise. */
export const unlessToldOtherwise = (now: AskedAddresses, told: AskedAddresses): AskedAddresses => ({
  listenAddr: told.listenAddr === defaults.listenAddr ? now.listenAddr : told.listenAddr,
  advertiseAddr: told.advertiseAddr || now.advertiseAddr,
});

/** Where this node is found. */
export class OwnAddresses {
  readonly #config: AskedAddresses;
  #asked: AskedAddresses;
  #workedOut: ClusterAddresses | undefined;

  constructor(config: AskedAddresses, state: NodeState | undefined) {
    this.#config = config;
    this.#asked = askedAddresses(config, state);
  }

  get asked(): AskedAddresses {
    return this.#asked;
  }

  /** It is told anew. */
  ask({ listenAddr, advertiseAddr }: AskedAddresses): void {
    this.#asked = { listenAddr, advertiseAddr };
    this.#workedOut = undefined;
  }

  /** What it was told beside its flags counts no more. */
  forget(): void {
    this.ask(askedAddresses(this.#config, undefined));
  }

  /**
   * Where this node's manager listens and is found. Of several addresses that nobody chose among it
   * is found at the one by which it reaches the others.
   *
   * @param manager where another one is found, if any is known
   * @throws SwarmError invalid-argument, in Docker's words
   */
  async workOut(manager: string | undefined): Promise<ClusterAddresses> {
    const interfaces = hostInterfaces();
    try {
      this.#workedOut = clusterAddresses(this.#asked, interfaces);
    } catch (error) {
      if (this.#asked.advertiseAddr !== '' || manager === undefined) throw error;
      const advertiseAddr = await addressTowards(manager);
      this.#workedOut = clusterAddresses({ ...this.#asked, advertiseAddr }, interfaces);
    }
    return this.#workedOut;
  }

  /** The host that is shown as this node's. A worker needs none. */
  get host(): string {
    const address = this.#workedOut?.advertise ?? this.#asked.advertiseAddr;
    if (address !== '') return parseHostPort(address, '--advertise-addr').host;
    try {
      const own = clusterAddresses(this.#asked, hostInterfaces());
      return parseHostPort(own.advertise, '--advertise-addr').host;
    } catch {
      return '';
    }
  }
}

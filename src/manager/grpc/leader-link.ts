import type { RpcClient, RpcConnection } from '../../api/index.ts';
import type { SecurityConfig } from '../../ca/index.ts';
import { SwarmError } from '../../runtime/index.ts';
import type { ManagerNetwork } from '../ports.ts';

interface Deps {
  readonly network: Pick<ManagerNetwork, 'connect'>;
  readonly security: Pick<SecurityConfig, 'current'>;
}

interface OpenLink {
  readonly address: string;
  readonly certPem: string;
  readonly connection: RpcConnection;
  readonly life: AbortController;
}

/**
 * The way calls are passed on to the leader. Raft has ways of its own: no heartbeat waits behind
 * what a person asks for.
 */
export class LeaderLink implements Disposable {
  readonly #deps: Deps;
  #open: OpenLink | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** A way to the leader at `host:port`. Calls to another one, before it, end here. */
  to(address: string): { readonly connection: RpcClient; readonly until: AbortSignal } {
    const { certPem } = this.#deps.security.current;
    if (this.#open?.address !== address) this[Symbol.dispose]();
    let link = this.#open;
    if (link?.certPem !== certPem) {
      // With a new certificate new calls take a new way; those under way go on.
      link?.connection[Symbol.dispose]();
      const life = link?.life ?? new AbortController();
      link = { address, certPem, connection: this.#deps.network.connect(address), life };
      this.#open = link;
    }
    return { connection: link.connection, until: link.life.signal };
  }

  [Symbol.dispose](): void {
    this.#open?.life.abort(
      new SwarmError('unavailable', 'the leader has changed: its connection is closing'),
    );
    this.#open?.connection[Symbol.dispose]();
    this.#open = undefined;
  }
}

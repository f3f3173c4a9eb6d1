import { SwarmError } from '../../../src/runtime/index.ts';
import type { Call } from './call.ts';
import type { Door } from './door.ts';
import type { Host, Identity, Party } from './host.ts';
import type { Network } from './network.ts';
import type { Pipe } from './wires.ts';

/** One connection from a process to a manager's door, until it breaks. */
export class Transport {
  readonly network: Network;
  readonly client: Party;
  readonly address: string;
  /** Who has opened it. */
  readonly identity: Identity;
  readonly calls = new Set<Call>();
  /** The door it has reached. */
  door: Door | undefined;
  isBroken = false;
  /** Called once its client knows that it is broken. */
  onBroken: () => void = () => undefined;
  readonly #up: Pipe = { arrivesAt: 0 };
  readonly #down: Pipe = { arrivesAt: 0 };
  readonly #server: Host | undefined;

  constructor(network: Network, client: Party, address: string) {
    this.network = network;
    this.client = client;
    this.address = address;
    this.identity = client.host.identity;
    this.#server = network.hostOf(address);
  }

  /** To the server, in order. What comes to nobody breaks the connection. */
  up(deliver: (door: Door) => void): void {
    const { network, client } = this;
    if (this.#server === undefined) return;
    network.wires.carry(client.host, this.#server, this.#up, () => {
      if (this.isBroken) return;
      this.door ??= network.doorAt(this.address);
      const { door } = this;
      if (door === undefined || !door.isOpen || !door.party.life.isAlive) {
        this.#refuse();
        return;
      }
      network.kernel.within(door.party.life, () => {
        deliver(door);
      });
    });
  }

  /** To the client, in order. */
  down(deliver: () => void): void {
    const { network, client } = this;
    if (this.#server === undefined) return;
    network.wires.carry(this.#server, client.host, this.#down, () => {
      if (this.isBroken) return;
      if (!client.life.isAlive) {
        this.#reset(undefined);
        return;
      }
      network.kernel.within(client.life, deliver);
    });
  }

  /** The server's process has ended: its host says so. */
  serverDied(): void {
    if (!this.isBroken) this.#refuse();
  }

  /** The client's process has ended: its host says so. */
  clientDied(): void {
    if (!this.isBroken) this.#reset(this.#up);
  }

  /** It breaks between the two: the client hears so first. */
  break(): void {
    const { network, client } = this;
    if (this.#server === undefined) return;
    network.wires.carry(this.#server, client.host, undefined, () => {
      if (this.isBroken || !client.life.isAlive) return;
      this.#fail('Connection dropped');
      this.#reset(undefined);
    });
  }

  /** The server is told that nobody listens any more. */
  #reset(pipe: Pipe | undefined): void {
    if (this.#server === undefined) return;
    this.network.wires.carry(this.client.host, this.#server, pipe, () => {
      this.#cancelServed();
    });
  }

  #cancelServed(): void {
    this.isBroken = true;
    const { door } = this;
    if (door === undefined) return;
    this.network.kernel.within(door.party.life, () => {
      for (const call of this.calls)
        call.cancelServed?.(new SwarmError('cancelled', 'connection reset'));
      this.calls.clear();
    });
  }

  /** Nobody answers there: every call fails, once that is known. */
  #refuse(): void {
    const { network, client } = this;
    if (this.#server === undefined) return;
    const isKnown = this.door !== undefined;
    network.wires.carry(this.#server, client.host, undefined, () => {
      if (this.isBroken || !client.life.isAlive) return;
      if (!isKnown) network.mark('a connection was refused');
      this.#fail(
        isKnown
          ? 'Connection dropped'
          : `No connection established. Last error: connect ECONNREFUSED ${this.address}`,
      );
    });
  }

  /** The client hears that it is broken. */
  #fail(message: string): void {
    this.isBroken = true;
    this.network.kernel.within(this.client.life, () => {
      for (const call of this.calls) call.finish(new SwarmError('unavailable', message));
      this.onBroken();
    });
  }
}

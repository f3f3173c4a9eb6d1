import type { Kernel, Life } from '../kernel/kernel.ts';
import { HostClock } from '../kernel/host-clock.ts';
import type { CertificateRole } from '../../../src/api/index.ts';

/** The address of the host of a number. */
export const ipOf = (number: number): string => `10.0.${number >> 8}.${number & 255}`;

/** Who a host is in the swarm: what its certificate says. */
export interface Identity {
  readonly nodeId: string;
  role: CertificateRole;
}

/** A machine: it has a place in the network and a clock, and runs processes. */
export class Host {
  readonly number: number;
  readonly ip: string;
  readonly clock: HostClock;
  /** Another one, once it has left and joined anew: what is on its way from before is the old one's. */
  identity: Identity;
  /** Without power it answers nobody, not even with a refusal. */
  isUp = true;
  /** It is gone for good. */
  isLost = false;
  /** Until then something was, or is, wrong with it or with the wires to it. */
  #troubledUntil = 0;
  readonly #kernel: Kernel;
  /** So many times it has joined, or might have. */
  #stays = 1;

  constructor(kernel: Kernel, number: number, identity: Identity) {
    this.#kernel = kernel;
    this.number = number;
    this.identity = identity;
    this.ip = ipOf(number);
    this.clock = new HostClock(kernel);
  }

  get nodeId(): string {
    return this.identity.nodeId;
  }

  get role(): CertificateRole {
    return this.identity.role;
  }

  /** Since when nothing was wrong with it: a time to come, if something is. */
  get wellSince(): number {
    return this.isUp ? this.#troubledUntil : Infinity;
  }

  /** Something is wrong with it, for some milliseconds from now on, or was up to now. */
  trouble(ms = 0): void {
    this.#troubledUntil = Math.max(this.#troubledUntil, this.#kernel.now + ms);
  }

  /** Who it will be in the swarm once it joins anew. */
  get nextNodeId(): string {
    return `${this.nodeId.split('+', 1)[0] ?? ''}+${this.#stays}`;
  }

  /** It will be another: its managers let that one in, and removed it before it had heard so. */
  isTooLate(): void {
    this.#stays += 1;
  }

  /** It is another node: a worker, as any. */
  joinAnew(): void {
    this.identity = { nodeId: this.nextNodeId, role: 'swarm-worker' };
    this.#stays += 1;
  }
}

/** A process on a host, as far as the network knows it. */
export interface Party {
  readonly host: Host;
  readonly life: Life;
}

import type { Kernel, Life } from '../kernel/kernel.ts';
import { HostClock } from '../kernel/host-clock.ts';
import type { CertificateRole } from '../../../src/api/index.ts';

/** The address of the host of a number. */
export const ipOf = (number: number): string => `10.0.${number >> 8}.${number & 255}`;

/** A machine: it has a place in the network and a clock, and runs processes. */
export class Host {
  readonly number: number;
  readonly nodeId: string;
  readonly ip: string;
  readonly clock: HostClock;
  /** What its certificate says. */
  role: CertificateRole;
  /** Without power it answers nobody, not even with a refusal. */
  isUp = true;

  constructor(kernel: Kernel, number: number, as: { nodeId: string; role: CertificateRole }) {
    this.number = number;
    this.nodeId = as.nodeId;
    this.role = as.role;
    this.ip = ipOf(number);
    this.clock = new HostClock(kernel);
  }
}

/** A process on a host, as far as the network knows it. */
export interface Party {
  readonly host: Host;
  readonly life: Life;
}

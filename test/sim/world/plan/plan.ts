import type { Damage } from '../../ports/disk.ts';

/** A host of the world by its kind and number: `m0` is the first manager's, `a7` the eighth agent's;
 * `leader` is that of whoever leads at the time. */
export type HostName = `${'m' | 'a'}${number}` | 'leader';

/** Something that goes wrong, as data. Times and spans are in virtual milliseconds. */
export type Fault = { readonly time: number } & (
  | {
      readonly kind: 'crash';
      readonly host: HostName;
      readonly ms: number;
      readonly isPower: boolean;
    }
  /** As a crash, but in the middle of the next write to its disk. */
  | {
      readonly kind: 'crash-writing';
      readonly host: HostName;
      readonly ms: number;
      readonly isPower: boolean;
    }
  | { readonly kind: 'restart'; readonly host: HostName; readonly ms: number }
  | { readonly kind: 'pause'; readonly host: HostName; readonly ms: number }
  | {
      readonly kind: 'cut';
      readonly host: HostName;
      readonly way: 'in' | 'out' | 'both';
      readonly ms: number;
    }
  | { readonly kind: 'clog'; readonly host: HostName; readonly ms: number }
  | { readonly kind: 'loss'; readonly host: HostName; readonly rate: number; readonly ms: number }
  | { readonly kind: 'slow-disk'; readonly host: HostName; readonly ms: number }
  | { readonly kind: 'failing-disk'; readonly host: HostName }
  | {
      readonly kind: 'damage';
      readonly host: HostName;
      readonly damage: Damage;
      readonly ms: number;
    }
  | { readonly kind: 'forget-tasks'; readonly host: HostName; readonly ms: number }
  | { readonly kind: 'clock-step'; readonly host: HostName; readonly by: number }
  | { readonly kind: 'clock-drift'; readonly host: HostName; readonly rate: number }
  | { readonly kind: 'kill-containers'; readonly host: HostName; readonly exitCode: number }
  | {
      readonly kind: 'engine';
      readonly host: HostName;
      readonly state: 'away' | 'hanging';
      /** Not before it is about to start a container. */
      readonly isAtStart: boolean;
      readonly ms: number;
    }
  | { readonly kind: 'lose-assignment'; readonly host: HostName }
  /** It is gone for good, with all that ran there. */
  | { readonly kind: 'lose-host'; readonly host: HostName }
  /** The next snapshot that is sent to it breaks off: before it arrives, or before that is confirmed. */
  | { readonly kind: 'break-snapshot'; readonly host: HostName; readonly isArrived: boolean }
  /** Whom it hands the leadership over to next crashes before it hears so. */
  | {
      readonly kind: 'crash-successor';
      readonly host: HostName;
      readonly ms: number;
      readonly isPower: boolean;
    }
  /** It loses its power, and comes back at another address. */
  | { readonly kind: 'move'; readonly host: HostName; readonly ms: number }
  /** Its disk is gone for good: it has an empty one. */
  | { readonly kind: 'lose-disk'; readonly host: HostName; readonly ms: number }
  /** Nothing passes between a host with its companions and all other managers. */
  | {
      readonly kind: 'split';
      readonly host: HostName;
      readonly with: readonly HostName[];
      readonly way: 'in' | 'out' | 'both';
      readonly ms: number;
    }
);

/** Something a person does. Services and nodes are meant by their number, modulo how many there are. */
export type Deed = { readonly time: number } & (
  | {
      readonly kind: 'create';
      readonly number: number;
      readonly replicas: number;
      readonly isGlobal: boolean;
      readonly withSecret: boolean;
    }
  | { readonly kind: 'scale'; readonly number: number; readonly replicas: number }
  | {
      readonly kind: 'update';
      readonly number: number;
      readonly image: number;
      readonly isStartFirst: boolean;
      readonly parallelism: number;
    }
  | { readonly kind: 'roll-back'; readonly number: number }
  | { readonly kind: 'remove'; readonly number: number }
  | { readonly kind: 'drain' | 'pause' | 'activate'; readonly number: number }
  | { readonly kind: 'remove-task'; readonly number: number }
  | { readonly kind: 'rotate-tokens' }
  /** How often agents are to be heard. */
  | { readonly kind: 'heartbeat'; readonly ms: number }
  /** Hosts of managers alone are meant here. */
  | { readonly kind: 'promote' | 'demote'; readonly number: number }
  /** Of nodes that run tasks, or of hosts of managers. */
  | {
      readonly kind: 'remove-node';
      readonly of: 'workers' | 'managers';
      readonly number: number;
      readonly isForced: boolean;
    }
  /** It is done at the host: `swarm leave --force`. */
  | { readonly kind: 'leave'; readonly host: HostName }
  /** All managers but one are stopped, or cut off; it goes on alone, and the others come back later. */
  | {
      readonly kind: 'rebuild';
      /** The one, or the next that can. */
      readonly host: HostName;
      readonly way: 'stopped' | 'cut';
      /** Whether it has another address then. */
      readonly isMoved: boolean;
      readonly waitMs: number;
      readonly backMs: number;
    }
);

/** All that happens to a world from outside. It can be written down, and done again. */
export interface Plan {
  readonly faults: readonly Fault[];
  readonly deeds: readonly Deed[];
  /** From now on nothing goes wrong any more. */
  readonly healAt: number;
  readonly endAt: number;
}

export interface Size {
  readonly managers: number;
  readonly agents: number;
  readonly minutes: number;
}

/** So many hosts beside the managers may become managers too, where there are several. */
const spares = 2;

/** How many hosts may run a manager. */
export const managerHosts = ({ managers }: Pick<Size, 'managers'>): number =>
  managers > 1 ? managers + spares : 1;

import type { Kernel } from '../kernel/kernel.ts';
import type { Marks } from '../kernel/marks.ts';
import type { Checks } from '../checks/checks.ts';
import type { Line } from '../ports/quiet-log.ts';
import type { Network } from '../ports/network.ts';
import type { Setting } from './setting.ts';

/** What everything in one world has in common. */
export interface Parts {
  readonly seed: string;
  readonly kernel: Kernel;
  readonly marks: Marks;
  readonly network: Network;
  readonly setting: Setting;
  readonly checks: Checks;
  /** Hears what a host logs; everything, if the world is loud. */
  readonly hear: (host: string, line: Line) => void;
  readonly isLoud: boolean;
}

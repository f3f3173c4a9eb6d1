import type { Clock, Log, Random } from '../../../runtime/index.ts';
import type { Executor } from '../../../worker/index.ts';
import type { StateDir } from '../state-dir.ts';

/** What a node is made of. */
export interface NodeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly stateDir: StateDir;
  readonly executor: Executor;
}

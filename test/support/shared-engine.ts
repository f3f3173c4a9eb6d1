import { inject } from 'vitest';
import type { SharedEngine } from '../engine/setup.ts';

/** The Engine that the tests of a run share; undefined where none can be started. */
export function sharedEngine(): SharedEngine | undefined {
  const engine = inject('engine');
  return typeof engine === 'string' ? undefined : engine;
}

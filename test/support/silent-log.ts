import { createLog, type Log } from '../../src/runtime/index.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A log that says nothing. */
export const silentLog: Log = createLog(new VirtualClock(), 'silent', { write: () => undefined });

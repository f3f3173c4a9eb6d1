import type { LogKey, LogKeys } from '../../src/raft/storage/log-keys.ts';

const logKey = (id: string): LogKey => ({ id, secret: Buffer.alloc(32, id) });

/** Keys of a log by their names, the current one first. */
export const logKeys = (current: string, ...older: readonly string[]): LogKeys => ({
  current: logKey(current),
  older: older.map(logKey),
});

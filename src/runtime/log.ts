import { type DestinationStream, type Logger, pino } from 'pino';
import type { Clock } from './clock.ts';

export type Log = Pick<Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child'>;

/** Never in a log line, wherever they stand in its fields. */
const secrets = [
  'token',
  '*.token',
  'joinToken',
  '*.joinToken',
  'joinTokens',
  '*.joinTokens',
  'unlockKey',
  '*.unlockKey',
  'caKey',
  '*.caKey',
  'key',
  '*.key',
  '*.data',
  'registryAuth',
  '*.registryAuth',
];

/** The root log. Its time is the clock's, so a simulated run logs simulated time. */
export function createLog(clock: Clock, level: string, destination: DestinationStream): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: secrets,
    },
    destination,
  );
}

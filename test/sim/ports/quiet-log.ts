import type { Log } from '../../../src/runtime/index.ts';

/** A line that somebody may want to see. */
export interface Line {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

const quiet = (): void => undefined;

/** A log that costs nothing unless it is listened to; errors always are. */
export function quietLog(hear: (line: Line) => void, isLoud: boolean): Log {
  const make = (bound: Readonly<Record<string, unknown>>): Log => {
    const say = (level: Line['level']) => (first: unknown, second?: unknown) => {
      const fields = typeof first === 'object' ? (first as Record<string, unknown>) : {};
      const message = typeof first === 'string' ? first : String(second);
      hear({ level, fields: { ...bound, ...fields }, message });
    };
    const log = {
      trace: quiet,
      debug: isLoud ? say('debug') : quiet,
      info: isLoud ? say('info') : quiet,
      warn: isLoud ? say('warn') : quiet,
      error: say('error'),
      fatal: say('fatal'),
      child: (more: Record<string, unknown>) => (isLoud ? make({ ...bound, ...more }) : log),
    };
    return log as unknown as Log; // As far as the product uses pino's.
  };
  return make({});
}

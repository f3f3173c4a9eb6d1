import { commands } from '../../src/cli/commands/all.ts';
import { runCli } from '../../src/cli/run.ts';
import type { Shell } from '../../src/cli/shell.ts';
import type { Clock } from '../../src/runtime/index.ts';
import type { FakeDaemon } from './fake-daemon.ts';

/** The time at which every command of the tests is run. */
export const startOfTests = Date.UTC(2026, 10, 22, 18, 0, 0);

/** A clock on which every wait is over at once. */
class HastyClock implements Clock {
  #elapsedMs = 0;

  now(): number {
    return startOfTests + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#elapsedMs += ms;
    return Promise.resolve();
  }

  async turn(): Promise<void> {
    return Promise.resolve();
  }
}

/** What a command left on the terminal. */
interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, against a daemon if there is one. */
export async function runInProcess(
  typed: readonly string[],
  daemon?: FakeDaemon,
  options: Partial<Shell> = {},
): Promise<Ran> {
  let [out, err] = ['', ''];
  const shell: Shell = {
    clock: new HastyClock(),
    signal: new AbortController().signal,
    isTerminal: false,
    input: async () => Promise.resolve(Buffer.alloc(0)),
    secret: async () => Promise.resolve(''),
    ...options,
    env: { SWARMD_HOST: `unix://${daemon?.socketPath ?? '/nowhere.sock'}`, ...options.env },
    out: (text) => (out += text),
    err: (text) => (err += text),
  };
  const exitCode = await runCli(typed, { commands, version: '1.2.3' }, shell);
  return { exitCode, out, err };
}

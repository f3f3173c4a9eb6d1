import { spawn } from 'node:child_process';
import { SystemClock } from '../../src/runtime/index.ts';

const clock = new SystemClock();

/** What a command printed, and how it ended. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** 128 and the number of its signal, if one ended it. */
  readonly code: number;
  readonly ms: number;
}

export interface CommandOptions {
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where it runs; here, if not given. */
  readonly cwd?: string;
  /** What it reads; nothing, if not given. */
  readonly input?: string;
  /** So long it may take, until it is killed. */
  readonly timeoutMs?: number;
}

/** Runs a command to its end. */
export async function runCommand(
  file: string,
  args: readonly string[],
  { env, cwd = '.', input = '', timeoutMs = 60_000 }: CommandOptions,
): Promise<Outcome> {
  const begun = clock.monotonic();
  const child = spawn(file, [...args], {
    env,
    cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  }
  child.stdin.on('error', () => undefined); // It may end before it has read all.
  child.stdin.end(input);
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      resolve(status ?? 128 + 9);
    });
  });
  return { ...texts, code, ms: clock.monotonic() - begun };
}

/** What a command printed. It must have succeeded. */
export function printed({ stdout, stderr, code }: Outcome): string {
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}${stdout}`);
  return stdout;
}

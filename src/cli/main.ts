#!/usr/bin/env node
import { SystemClock } from '../runtime/index.ts';
import { commands } from './commands/all.ts';
import { readStart } from './payload/content.ts';
import { runCli } from './run.ts';
import { readSecret } from './secret-input.ts';
import type { Shell } from './shell.ts';
import { version } from './version.ts';

const interrupted = new AbortController();
const shell: Shell = {
  clock: new SystemClock(),
  env: process.env,
  signal: interrupted.signal,
  isTerminal: process.stdout.isTTY,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  input: async (bytesMax) => readStart(process.stdin, bytesMax, interrupted.signal),
  secret: async (prompt) =>
    readSecret(
      {
        input: process.stdin,
        output: process.stderr,
        interrupt: () => process.exit(130),
      },
      prompt,
      interrupted.signal,
    ),
};

/** A second signal ends the process at once. */
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort(new Error(name));
  });
}
// Somebody piped us into `head`: there is nobody left to write to.
process.stdout.on('error', () => process.exit(0));

process.exitCode = await runCli(process.argv.slice(2), { commands, version: version() }, shell);

import { clientFor } from '../client.ts';
import type { Call, Flag } from '../command.ts';
import type { Shell } from '../shell.ts';
import { waitForConvergence } from './progress.ts';

/** The flags of commands that change a service and wait for what they asked for. */
export const waitFlags = {
  detach: {
    kind: 'switch',
    alias: 'd',
    describe: 'Exit immediately instead of waiting for the service to converge',
  },
  quiet: { kind: 'switch', alias: 'q', describe: 'Suppress progress output' },
} as const satisfies Readonly<Record<string, Flag>>;

/** Waits for what was asked of a service, unless the flags say not to. */
export async function waitFor(
  { flags }: Call,
  service: { readonly id: string; readonly name: string; readonly isRollback?: boolean },
  shell: Shell,
): Promise<void> {
  if (flags.switch('detach') === true) return;
  const isQuiet = flags.switch('quiet') === true;
  await waitForConvergence(clientFor(shell), { isRollback: false, ...service, isQuiet }, shell);
}

/** What the manager answers to a change of a service. */
export interface Changed {
  readonly Warnings?: readonly string[] | null;
}

/** Tells the user what the manager warns of. */
export function warn({ Warnings }: Changed, shell: Shell): void {
  for (const warning of Warnings ?? []) shell.err(`${warning}\n`);
}

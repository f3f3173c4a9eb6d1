import type { EngineClient } from '../client.ts';
import type { TaskObject } from '../commands/tasks.ts';
import type { NodeObject } from '../engine-types.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import { type Snapshot, type View, viewOf } from './progress-view.ts';
import { isJob, type ServiceObject } from './spec.ts';

const pollMs = 200;
/** A service without a monitoring period of its own must be stable for so long. */
const usualMonitorMs = 5_000;

async function look(client: EngineClient, id: string): Promise<Snapshot> {
  const [service, tasks, nodes] = await Promise.all([
    client.get<ServiceObject>(`/services/${id}`),
    client.list<TaskObject>('/tasks', { service: [id], '_up-to-date': ['true'] }),
    client.list<NodeObject>('/nodes'),
  ]);
  return { service, tasks, nodes };
}

/** Shows a view: over the last one on a terminal; elsewhere what is new in it, a line each. */
class Display {
  readonly #shell: Shell;
  #failures: ReadonlySet<string> = new Set();
  #note = '';
  #head = '';
  #lines = 0;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  show(head: string, view: View, note: string): void {
    if (this.#shell.isTerminal) this.#draw(note === '' ? [head] : [note, head], view.bars);
    else this.#tell(head, view, note);
  }

  #draw(heads: readonly string[], bars: readonly string[]): void {
    const up = this.#lines === 0 ? '' : `\u001B[${this.#lines}A`;
    const lines = [...heads, ...bars];
    this.#shell.out(`${up}${lines.map((line) => `\u001B[2K${line} \n`).join('')}\u001B[0J`);
    this.#lines = lines.length;
  }

  #tell(head: string, { failures, isThere }: View, note: string): void {
    const lines = [
      ...(note === this.#note ? [] : [note]),
      ...(head === this.#head ? [] : [head]),
      ...failures.filter((failure) => !this.#failures.has(failure)),
    ];
    for (const line of lines) this.#shell.out(`${line}\n`);
    [this.#note, this.#head] = [note, head];
    // What goes on failing for the same reason has said so; what came up and fails again says it anew.
    this.#failures = isThere ? new Set() : new Set([...this.#failures, ...failures]);
  }
}

/** An update that stopped on its own: its message ends the wait. */
function checkUpdate({ UpdateStatus }: ServiceObject, isRollbackAsked: boolean): void {
  const { State = '', Message = '' } = UpdateStatus ?? {};
  if (State === 'paused') throw new CommandFailure(`service update paused: ${Message}`);
  if (State === 'rollback_paused') throw new CommandFailure(`service rollback paused: ${Message}`);
  // A rollback nobody asked for is a failed update, however well it went.
  if (State === 'rollback_completed' && !isRollbackAsked) {
    throw new CommandFailure(`service rolled back: ${Message}`);
  }
}

/** What is waited for, and how. */
interface Wait {
  readonly id: string;
  /** What the user calls it. */
  readonly name: string;
  /** Waits without showing anything. */
  readonly isQuiet: boolean;
  readonly isRollback: boolean;
}

/**
 * Shows how a service comes to what was asked of it, and returns once it has been there for its
 * monitoring period; or how a job comes to its end. On Ctrl-C it returns at once, and the swarm
 * goes on.
 *
 * @throws CommandFailure if the update was paused, or rolled back by itself
 */
export async function waitForConvergence(
  client: EngineClient,
  wait: Wait,
  shell: Shell,
): Promise<void> {
  try {
    await watch(client, wait, shell);
  } catch (error) {
    if (!shell.signal.aborted) throw error;
    shell.out(
      `Operation continuing in background.\nUse \`swarmd service ps ${wait.name}\` to check progress.\n`,
    );
  }
}

async function watch(
  client: EngineClient,
  { id, name, isQuiet, isRollback }: Wait,
  shell: Shell,
): Promise<void> {
  const display = new Display(isQuiet ? { ...shell, out: () => undefined } : shell);
  let stable: { readonly sinceMs: number; readonly wanted: number } | undefined;
  let note = '';
  for (;;) {
    const snapshot = await look(client, id);
    const { service } = snapshot;
    const view = viewOf(snapshot);
    if (service.UpdateStatus?.State === 'rollback_started') {
      note = `rollback: ${service.UpdateStatus.Message ?? ''}`;
    }
    checkUpdate(service, isRollback);
    const now = shell.clock.monotonic();
    if (!view.isThere) {
      if (stable?.wanted === view.wanted) {
        display.show('verify: Detected task failure', view, note);
      }
      stable = undefined;
      display.show(view.head, view, note);
    } else if (isJob(service.Spec)) {
      display.show('job complete', view, note);
      return;
    } else {
      stable ??= { sinceMs: now, wanted: view.wanted };
      const leftMs = monitorMs(service) - (now - stable.sinceMs);
      if (leftMs <= 0) {
        display.show(`verify: Service ${name} converged`, view, note);
        return;
      }
      const seconds = Math.ceil(leftMs / 1_000);
      const waiting = `verify: Waiting ${seconds} seconds to verify that tasks are stable...`;
      display.show(waiting, view, note);
    }
    await shell.clock.sleep(pollMs, shell.signal);
  }
}

/** An update has been watched by the swarm already, when it says that it is complete. */
function monitorMs({ Spec, UpdateStatus }: ServiceObject): number {
  if (UpdateStatus?.State === 'completed' || UpdateStatus?.State === 'rollback_completed') return 0;
  const nanos = Spec.UpdateConfig?.Monitor ?? 0;
  return nanos === 0 ? usualMonitorMs : nanos / 1e6;
}

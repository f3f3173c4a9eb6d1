import { onAbort } from '../../runtime/index.ts';
import { clientFor, type EngineClient, isNotFound, type Query } from '../client.ts';
import type { Call, Flag, Flags } from '../command.ts';
import type { TaskObject } from '../commands/tasks.ts';
import type { NodeObject } from '../engine-types.ts';
import { parseDuration } from '../output/units.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import { nameOf, type ServiceObject } from './spec.ts';

export const logFlags = {
  follow: { kind: 'switch', alias: 'f', describe: 'Follow log output' },
  since: {
    kind: 'text',
    describe: 'Show logs since timestamp (2013-01-02T13:23:37Z) or relative (42m for 42 minutes)',
  },
  tail: {
    kind: 'text',
    alias: 'n',
    describe: 'Number of lines to show from the end',
    shown: 'all',
  },
  timestamps: { kind: 'switch', alias: 't', describe: 'Show timestamps' },
  details: { kind: 'switch', describe: 'Show extra details provided to logs' },
  raw: { kind: 'switch', describe: 'Do not neatly format logs' },
  'no-trunc': { kind: 'switch', describe: 'Do not truncate output' },
  'no-resolve': { kind: 'switch', describe: 'Do not map IDs to Names in output' },
  'no-task-ids': { kind: 'switch', describe: 'Do not include task IDs in output' },
} as const satisfies Readonly<Record<string, Flag>>;

/** What the logs are of, and how it is asked for. */
interface Source {
  readonly path: string;
  readonly hasTty: boolean;
  readonly replicas: number;
}

async function find(client: EngineClient, name: string): Promise<Source> {
  const id = encodeURIComponent(name);
  try {
    const service = await client.get<ServiceObject>(`/services/${id}`);
    return {
      path: `/services/${service.ID}/logs`,
      hasTty: service.Spec.TaskTemplate.ContainerSpec.TTY ?? false,
      replicas: service.Spec.Mode?.Replicated?.Replicas ?? 1,
    };
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  try {
    const task = await client.get<TaskObject & { Spec: { ContainerSpec?: { TTY?: boolean } } }>(
      `/tasks/${id}`,
    );
    return {
      path: `/tasks/${task.ID}/logs`,
      hasTty: task.Spec.ContainerSpec?.TTY ?? false,
      replicas: 1,
    };
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new CommandFailure(`no such task or service: ${name}`);
  }
}

/** A moment, or how long ago, in seconds since the epoch. */
function sinceOf(text: string | undefined, nowMs: number): string | undefined {
  if (text === undefined) return undefined;
  const ago = parseDuration(text);
  if (ago !== undefined) return String((nowMs - ago / 1e6) / 1_000);
  const at = Date.parse(text);
  if (Number.isNaN(at)) {
    throw new CommandFailure(
      `invalid argument "${text}" for "--since" flag: it is a moment or a duration`,
      125,
    );
  }
  return String(at / 1_000);
}

/** The flags as the Engine API takes them. */
function queryOf(flags: Flags, nowMs: number): Query {
  const isOn = (name: string): number => (flags.switch(name) === true ? 1 : 0);
  return {
    stdout: 1,
    stderr: 1,
    follow: isOn('follow'),
    timestamps: isOn('timestamps'),
    tail: flags.text('tail') ?? 'all',
    since: sinceOf(flags.text('since'), nowMs),
    // The details say which task a line is of.
    details: isOn('raw') === 1 ? isOn('details') : 1,
  };
}

export async function logs({ args, flags }: Call, shell: Shell): Promise<void> {
  const [name = ''] = args;
  const client = clientFor(shell);
  const source = await find(client, name);
  const isRaw = flags.switch('raw') === true;
  if (source.hasTty && !isRaw) {
    throw new CommandFailure('tty service logs only supported with --raw');
  }
  const stream = await client.stream(source.path, queryOf(flags, shell.clock.now()));
  const writer = isRaw
    ? { write: async (line: string) => Promise.resolve(line) }
    : new LineWriter(client, source, flags);
  const waiting = onAbort(shell.signal, () => {
    (stream as NodeJS.ReadableStream & { destroy(): void }).destroy();
  });
  try {
    if (source.hasTty) {
      for await (const chunk of stream) shell.out(chunk.toString());
      return;
    }
    for await (const { isError, text } of lines(stream)) {
      const line = await writer.write(text);
      if (isError) shell.err(line);
      else shell.out(line);
    }
  } catch (error) {
    if (!shell.signal.aborted) throw error;
  } finally {
    waiting[Symbol.dispose]();
  }
}

/** The lines of a multiplexed stream: 1 byte which stream, 3 of nothing, 4 of length, then text. */
async function* lines(
  stream: NodeJS.ReadableStream,
): AsyncGenerator<{ readonly isError: boolean; readonly text: string }> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk as Buffer]);
    while (held.length >= 8) {
      const end = 8 + held.readUInt32BE(4);
      if (held.length < end) break;
      const isError = held[0] === 2 || held[0] === 3;
      const text = held.subarray(8, end).toString();
      held = held.subarray(end);
      // What ends the stream in an error is no task's line.
      if (text.startsWith('Error grabbing logs: ')) throw new CommandFailure(text.trimEnd());
      yield { isError, text };
    }
  }
}

const label = 'com.docker.swarm.';

/** Puts before each line which task of which service on which node it is of. */
class LineWriter {
  readonly #client: EngineClient;
  readonly #source: Source;
  readonly #flags: Call['flags'];
  readonly #heads = new Map<string, string>();
  #services: ReadonlyMap<string, string> | undefined;
  #nodes: ReadonlyMap<string, string> | undefined;

  constructor(client: EngineClient, source: Source, flags: Call['flags']) {
    this.#client = client;
    this.#source = source;
    this.#flags = flags;
  }

  async write(line: string): Promise<string> {
    const hasTime = this.#flags.switch('timestamps') === true;
    const parts = line.split(' ');
    const time = hasTime ? `${parts.shift() ?? ''} ` : '';
    const details = new Map(
      (parts.shift() ?? '').split(',').map((entry) => {
        const at = entry.indexOf('=');
        return [decodeURIComponent(entry.slice(0, at)), decodeURIComponent(entry.slice(at + 1))];
      }),
    );
    const own = [...details].filter(([key]) => !key.startsWith(label));
    // What a log driver adds to a line, and its space even where that is nothing.
    const shown =
      this.#flags.switch('details') === true
        ? `${own.map(([key, value]) => `${key}=${value}`).join(',')} `
        : '';
    return `${time}${await this.#head(details)}    | ${shown}${parts.join(' ')}`;
  }

  async #head(details: ReadonlyMap<string, string>): Promise<string> {
    const taskId = details.get(`${label}task.id`) ?? '';
    const known = this.#heads.get(taskId);
    if (known !== undefined) return known;
    const serviceId = details.get(`${label}service.id`) ?? '';
    const nodeId = details.get(`${label}node.id`) ?? '';
    const task = await this.#client
      .get<TaskObject>(`/tasks/${encodeURIComponent(taskId)}`)
      .catch(() => undefined);
    const [service, node] = [await this.#serviceName(serviceId), await this.#nodeName(nodeId)];
    const slot = task?.Slot === undefined || task.Slot === 0 ? nodeId : String(task.Slot);
    const shortTask = this.#flags.switch('no-trunc') === true ? taskId : taskId.slice(0, 12);
    const id = this.#flags.switch('no-task-ids') === true ? '' : `.${shortTask}`;
    const padding = ' '.repeat(Math.max(String(this.#source.replicas).length - slot.length, 0));
    const head = `${service}.${slot}${id}@${node}${padding}`;
    this.#heads.set(taskId, head);
    return head;
  }

  async #serviceName(id: string): Promise<string> {
    if (this.#flags.switch('no-resolve') === true) return id;
    this.#services ??= new Map(
      (await this.#client.list<ServiceObject>('/services')).map((service) => [
        service.ID,
        nameOf(service),
      ]),
    );
    return this.#services.get(id) ?? id;
  }

  async #nodeName(id: string): Promise<string> {
    if (this.#flags.switch('no-resolve') === true) return id;
    this.#nodes ??= new Map(
      (await this.#client.list<NodeObject>('/nodes')).map(({ ID, Description }) => [
        ID,
        Description?.Hostname ?? ID,
      ]),
    );
    return this.#nodes.get(id) ?? id;
  }
}

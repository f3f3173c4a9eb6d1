import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type BatchOperation, Level } from 'level';
import { codecOf, type Node, type Task, type TaskStatus } from '../api/index.ts';
import { type Clock, type Log, messageOf, SwarmError } from '../runtime/index.ts';

/** What a node remembers of one task. */
export interface TaskRecord {
  /** As it was last assigned. Its status is not kept here. */
  readonly task: Task;
  /** Its last status on this node. A task without any was never begun, and is passed over. */
  readonly status: TaskStatus | undefined;
  /** False once it is no longer assigned: its container is still to be removed. */
  readonly isAssigned: boolean;
}

/** What an assignment changes. */
export interface AssignmentRecord {
  readonly assigned: readonly Task[];
  /** IDs of tasks that are assigned no longer. */
  readonly unassigned: readonly string[];
}

/**
 * The tasks of this node across restarts. It is a memory, not a source of truth: what it lost
 * comes back with the managers' next complete assignment, and from the containers themselves. So
 * no call fails for a broken disk; the store then forgets, and says so in the log.
 */
export interface TaskStore extends AsyncDisposable {
  /** What was remembered when the store was opened. */
  readonly records: readonly TaskRecord[];
  /** This node's object as its managers last had it when the store was opened. */
  readonly node: Node | undefined;
  putNode(node: Node): Promise<void>;
  /** Remembers an assignment: all of it or nothing, and on the disk when it returns. */
  assign(change: AssignmentRecord): Promise<void>;
  putStatus(taskId: string, status: TaskStatus): Promise<void>;
  /** Forgets a task whose container is gone. */
  forget(taskId: string): Promise<void>;
}

// The kinds of record, as the first part of a key. They stand on disks: none is ever reused.
const taskKey = (id: string): string => `task/${id}`;
const statusKey = (id: string): string => `status/${id}`;
const nodeKey = 'node';
const unassignedKey = (id: string): string => `unassigned/${id}`;

const taskCodec = codecOf('Task');
const statusCodec = codecOf('TaskStatus');
const nodeCodec = codecOf('Node');

type Database = Level<string, Buffer>;
type Operation = BatchOperation<Database, string, Buffer>;

/** So many damaged stores are kept, the newest. */
const damagedMax = 3;

interface TaskStoreDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Opens the task store in a node's state directory. One that is damaged, of which a part is gone
 * or that cannot be read is set aside under the name `tasks.damaged-<time>`, and an empty one takes
 * its place. Where the disk does not even bear that, the store remembers nothing.
 *
 * @throws SwarmError failed-precondition, if another process has it open
 */
export async function openTaskStore(deps: TaskStoreDeps, statePath: string): Promise<TaskStore> {
  const path = taskStorePath(statePath);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return await open(deps, path);
  } catch (error) {
    if (isLocked(error)) {
      throw new SwarmError('failed-precondition', `task store ${path} is in use`, { cause: error });
    }
    return replaced(deps, path, error);
  }
}

/** Where the task store of a state directory is. */
export const taskStorePath = (statePath: string): string => join(statePath, 'worker', 'tasks');

async function open(deps: TaskStoreDeps, path: string): Promise<TaskStore> {
  const database: Database = new Level(path, { valueEncoding: 'buffer' });
  await database.open();
  try {
    const { leftovers, ...memory } = await readAll(database);
    await database.batch(leftovers.map(del));
    return new LevelTaskStore(deps, database, memory);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function replaced(deps: TaskStoreDeps, path: string, damage: unknown): Promise<TaskStore> {
  try {
    const aside = await setAside(deps.clock, path);
    deps.log.error(
      { reason: reasonOf(damage), path, aside },
      'task store is damaged: it is set aside, and its tasks come back from the managers',
    );
    return await open(deps, path);
  } catch (error) {
    deps.log.error({ err: error, path }, 'task store cannot be had: tasks are not remembered');
    return new LevelTaskStore(deps, undefined, { records: [], node: undefined });
  }
}

/** @returns where the store is now */
async function setAside(clock: Clock, path: string): Promise<string> {
  const prefix = `${basename(path)}.damaged-`;
  const time = new Date(clock.now()).toISOString().replaceAll(':', '-');
  const present = (await readdir(dirname(path))).filter((name) => name.startsWith(prefix));
  let name = `${prefix}${time}`;
  for (let i = 2; present.includes(name); i += 1) name = `${prefix}${time}-${i}`;
  const aside = join(dirname(path), name);
  await rename(path, aside);
  for (const old of present.toSorted().slice(0, -(damagedMax - 1))) {
    await rm(join(dirname(path), old), { recursive: true, force: true });
  }
  return aside;
}

function isLocked(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && cause.code === 'LEVEL_LOCKED') return true;
  }
  return false;
}

/** What LevelDB found is the cause of what `level` throws. */
const reasonOf = (error: unknown): string =>
  error instanceof Error && error.cause !== undefined
    ? `${error.message}: ${messageOf(error.cause)}`
    : messageOf(error);

/** @throws SwarmError data-loss, if a record is damaged, or one is gone that others stand on */
async function readAll(database: Database): Promise<Memory & { readonly leftovers: string[] }> {
  const values = new Map<string, Buffer>();
  for await (const [key, value] of database.iterator()) values.set(key, unseal(key, value));
  const records: TaskRecord[] = [];
  const leftovers: string[] = [];
  for (const key of values.keys()) {
    const [kind, id = ''] = key.split('/');
    const [task, status] = [values.get(taskKey(id)), values.get(statusKey(id))];
    if (kind === 'status' && task === undefined) {
      throw new SwarmError('data-loss', `record ${taskKey(id)} of the task store is gone`);
    }
    const isLeftover = kind === 'task' ? status === undefined : task === undefined;
    if (kind !== 'node' && isLeftover) leftovers.push(key);
    // A task that was never begun comes again: nothing is to be made of what is half there.
    if (kind !== 'task' || task === undefined || status === undefined) continue;
    records.push({
      task: taskCodec.decode(task),
      status: statusCodec.decode(status),
      isAssigned: !values.has(unassignedKey(id)),
    });
  }
  const node = values.get(nodeKey);
  return { records, leftovers, node: node === undefined ? undefined : nodeCodec.decode(node) };
}

/**
 * A value as it stands on the disk: after the checksum of its key and itself. LevelDB does not
 * check what it reads, so a flipped bit would otherwise come back as if it had been written.
 */
function seal(key: string, value: Buffer): Buffer {
  const sealed = Buffer.alloc(4 + value.length);
  sealed.writeUInt32BE(crc32(value, crc32(key)));
  value.copy(sealed, 4);
  return sealed;
}

/** @throws SwarmError data-loss, if the value is not what was written under its key */
function unseal(key: string, sealed: Buffer): Buffer {
  const value = sealed.subarray(4);
  if (sealed.length < 4 || sealed.readUInt32BE() !== crc32(value, crc32(key))) {
    throw new SwarmError('data-loss', `record ${key} of the task store is damaged`);
  }
  return value;
}

type Memory = Pick<TaskStore, 'records' | 'node'>;

class LevelTaskStore implements TaskStore {
  readonly records: readonly TaskRecord[];
  readonly node: Node | undefined;
  readonly #deps: TaskStoreDeps;
  /** Absent once nothing can be remembered. */
  #database: Database | undefined;

  constructor(deps: TaskStoreDeps, database: Database | undefined, { records, node }: Memory) {
    this.#deps = deps;
    this.#database = database;
    this.records = records;
    this.node = node;
  }

  async assign({ assigned, unassigned }: AssignmentRecord): Promise<void> {
    const puts = assigned.flatMap((task) => [
      put(taskKey(task.id), taskCodec.encode({ ...task, status: null } as Mutable<Task>)),
      del(unassignedKey(task.id)),
    ]);
    const marks = unassigned.map((id) => put(unassignedKey(id), Buffer.alloc(0)));
    await this.#write([...puts, ...marks], true);
  }

  async putNode(node: Node): Promise<void> {
    await this.#write([put(nodeKey, nodeCodec.encode(node as Mutable<Node>))], false);
  }

  async putStatus(taskId: string, status: TaskStatus): Promise<void> {
    // Not synced: what a lost power supply takes with it, the container tells again.
    const value = statusCodec.encode(status as Mutable<TaskStatus>);
    await this.#write([put(statusKey(taskId), value)], false);
  }

  async forget(taskId: string): Promise<void> {
    const keys = [taskKey(taskId), statusKey(taskId), unassignedKey(taskId)];
    await this.#write(keys.map(del), false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database?.close();
  }

  async #write(operations: Operation[], sync: boolean): Promise<void> {
    const database = this.#database;
    if (database === undefined || operations.length === 0) return;
    try {
      await database.batch(operations, { sync });
    } catch (error) {
      if (this.#database === undefined) return; // Others were under way, and one was the first.
      // After a failed write LevelDB may take others and lose them: what it holds is given up.
      this.#database = undefined;
      await this.#abandon(database, error);
    }
  }

  async #abandon(database: Database, reason: unknown): Promise<void> {
    const { clock, log } = this.#deps;
    const path = database.location;
    try {
      await database.close();
      const aside = await setAside(clock, path);
      log.error(
        { reason: reasonOf(reason), path, aside },
        'task store cannot be written: it is set aside, and tasks are forgotten at a restart',
      );
    } catch (error) {
      log.error({ err: error, path }, 'broken task store could not be set aside');
    }
  }
}

const put = (key: string, value: Buffer): Operation => ({
  type: 'put',
  key,
  value: seal(key, value),
});

const del = (key: string): Operation => ({ type: 'del', key });

/** The codecs do not write to what they encode, but their types do not say so. */
type Mutable<T> = T extends Buffer | Uint8Array | string | number | boolean | null | undefined
  ? T
  : { -readonly [K in keyof T]: Mutable<T[K]> };

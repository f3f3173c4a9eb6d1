import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ContainerSpec,
  expandPayload,
  type Task,
  type TemplateNode,
} from '../../api/index.ts';
import type { Config, Secret } from '../../api/index.ts';
import { SwarmError } from '../../runtime/index.ts';
import type { TaskDependencies } from '../execution.ts';
import type { EngineMount } from './engine-port.ts';

/** A secret or config on its way into a container. */
interface TaskFile {
  readonly target: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly data: Uint8Array;
}

/** Whose files, and where their contents come from. */
export interface FileSources {
  readonly task: Task;
  /** The container spec of the task, its placeholders filled in. */
  readonly spec: ContainerSpec;
  readonly node: TemplateNode | undefined;
  readonly dependencies: TaskDependencies;
}

/**
 * The secrets and configs of tasks, as files on this host that are mounted read-only into their
 * containers, each on its own.
 *
 * Nothing may be left of a secret on a disk: the directory has to be on a tmpfs, and a task's files
 * are gone once it has ended. The Engine must see the same directory under the same path.
 */
export class TaskFiles {
  readonly #directory: string;

  /** @param directory on a tmpfs, and readable by root alone: it is made so */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Writes a task's files and gives their mounts. Repeated, it writes them anew.
   *
   * @throws SwarmError not-found or permission-denied, for a secret or config it cannot have
   * @throws SwarmError invalid-argument, if a template in it cannot be filled in
   */
  async place(sources: FileSources): Promise<EngineMount[]> {
    const files = filesOf(sources);
    if (files.length === 0) return [];
    const directory = this.#directoryOf(sources.task.id);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return Promise.all(
      files.map(async (file, index) => {
        const source = join(directory, String(index));
        await writeFile(source, file.data, { mode: 0o600 });
        await chown(source, file.uid, file.gid);
        await chmod(source, file.mode);
        return { Type: 'bind' as const, Source: source, Target: file.target, ReadOnly: true };
      }),
    );
  }

  /** Forgets a task's files. None: no error. */
  async discard(taskId: string): Promise<void> {
    await rm(this.#directoryOf(taskId), { recursive: true, force: true });
  }

  #directoryOf(taskId: string): string {
    // A task ID comes over the network: it must not lead elsewhere.
    if (!/^[\w-]+$/u.test(taskId)) {
      throw new SwarmError('invalid-argument', `invalid task ID ${taskId}`);
    }
    return join(this.#directory, taskId);
  }
}

function filesOf(sources: FileSources): TaskFile[] {
  const { spec, dependencies } = sources;
  const secrets = spec.secrets.flatMap(({ secretId, file }) =>
    fileOf(file, '/run/secrets', () => contentOf(dependencies.secret(secretId), sources)),
  );
  const configs = spec.configs.flatMap(({ configId, file }) =>
    fileOf(file, '', () => contentOf(dependencies.config(configId), sources)),
  );
  return [...secrets, ...configs];
}

type FileTarget = ContainerSpec['secrets'][number]['file'];

/** A reference without a file stands for no file: a config may be for the Engine itself. */
function fileOf(file: FileTarget, folder: string, read: () => Uint8Array): TaskFile[] {
  if (file === null || file === undefined) return [];
  return [
    {
      target: file.name.startsWith('/') ? file.name : `${folder}/${file.name}`,
      uid: idOf(file.uid),
      gid: idOf(file.gid),
      mode: file.mode & 0o7777,
      data: read(),
    },
  ];
}

function idOf(text: string): number {
  const id = Number(text === '' ? 0 : text);
  if (Number.isInteger(id) && id >= 0 && id <= 0xffff_ffff) return id;
  throw new SwarmError('invalid-argument', `invalid user or group ID ${text}`);
}

/** What a secret or config holds, for this task. swarmkit template/getter.go */
function contentOf(object: Secret | Config, sources: FileSources): Uint8Array {
  const { data, templating } = object.spec ?? { data: Buffer.alloc(0), templating: null };
  if (templating === null) return data;
  if (templating.name !== 'golang') {
    throw new SwarmError('invalid-argument', 'unrecognized template type');
  }
  const { task, spec, node, dependencies } = sources;
  const text = expandPayload(Buffer.from(data).toString(), task, spec, {
    node,
    sources: {
      secret: (target) => {
        const reference = spec.secrets.find(({ file }) => file?.name === target);
        if (reference === undefined) throw new Error(`secret target ${target} not found`);
        return textOf(dependencies.secret(reference.secretId));
      },
      config: (target) => {
        const reference = spec.configs.find(({ file }) => file?.name === target);
        if (reference === undefined) throw new Error(`config target ${target} not found`);
        return textOf(dependencies.config(reference.configId));
      },
    },
  });
  return Buffer.from(text);
}

const textOf = ({ spec }: Secret | Config): string => Buffer.from(spec?.data ?? '').toString();

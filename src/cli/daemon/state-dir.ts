import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  openSync,
  writeSync,
  fsyncSync,
  closeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { messageOf, SwarmError } from '../../runtime/index.ts';
import { defaults } from './config.ts';
import { ManagerLog } from './manager-log.ts';

/** What a node remembers beside its identity, its log and its tasks. */
export interface NodeState {
  /** As it was told, like the next: an address that was chosen is chosen again. */
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  /** The managers this node was told of last. */
  readonly managers: readonly { readonly nodeId: string; readonly addr: string }[];
}

/**
 * A node's state directory: made with mode 0700, and held by one daemon at a time.
 *
 * The hold is an abstract socket named for the directory: the kernel lets go of it when the
 * process ends, however it ends, so there is no stale lock to remove.
 */
export class StateDir {
  readonly path: string;
  readonly managerLog: ManagerLog;
  readonly #release: () => void;

  private constructor(path: string, managerLog: ManagerLog, release: () => void) {
    this.path = path;
    this.managerLog = managerLog;
    this.#release = release;
  }

  /**
   * @param socketPath the Engine API's socket: what lies beside it ends with the host's uptime, and
   *   is not copied with the directory
   * @throws SwarmError failed-precondition, if another daemon holds the directory;
   *   invalid-argument, if it cannot be used
   */
  static async hold(path: string, socketPath?: string): Promise<StateDir> {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      chmodSync(path, 0o700);
    } catch (error) {
      throw new SwarmError('invalid-argument', `state directory ${path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const { dev, ino } = statSync(path);
    const lock = createServer();
    await new Promise<void>((resolve, reject) => {
      lock.once('error', () => {
        reject(
          new SwarmError(
            'failed-precondition',
            `state directory ${path} is in use by another swarmd: stop it, or give this one a --state-dir of its own`,
          ),
        );
      });
      lock.listen(`\0swarmd-state-${dev}-${ino}`, resolve);
    });
    lock.unref();
    const stateDir = new StateDir(path, new ManagerLog(path, socketPath), () => lock.close());
    stateDir.managerLog.finishDrop();
    return stateDir;
  }

  get #stateFile(): string {
    return join(this.path, 'state.json');
  }

  get certificates(): string {
    return join(this.path, 'certificates');
  }

  get worker(): string {
    return join(this.path, 'worker');
  }

  /** The socket by which this node's agent reaches this node's manager. */
  get controlSocket(): string {
    return join(this.path, 'control.sock');
  }

  /** Whether it holds more of a node than certificates: its log, its tasks, what it remembers. */
  get isUsed(): boolean {
    return (
      this.managerLog.exists || [this.worker, this.#stateFile].some((path) => existsSync(path))
    );
  }

  /** @throws SwarmError data-loss, if the file is there and cannot be read */
  readState(): NodeState | undefined {
    const path = this.#stateFile;
    if (!existsSync(path)) return undefined;
    try {
      const { listenAddr, advertiseAddr, managers } = JSON.parse(
        readFileSync(path, 'utf8'),
      ) as Partial<NodeState>; // Written by writeState below; what is missing has a default.
      return {
        listenAddr: listenAddr ?? defaults.listenAddr,
        advertiseAddr: advertiseAddr ?? '',
        managers: managers ?? [],
      };
    } catch (error) {
      throw new SwarmError(
        'data-loss',
        `${path} is damaged: ${messageOf(error)}; remove it: a manager does without, a worker is then started with --join and --token`,
        { cause: error },
      );
    }
  }

  writeState(state: NodeState): void {
    const temporary = join(this.path, '.state.json.tmp');
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeSync(file, `${JSON.stringify(state, undefined, 2)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.#stateFile);
  }

  /**
   * Forgets everything. The directory itself stays: it may be a mount. The certificates go last:
   * what is left of the rest without them is nobody's.
   */
  wipe(): void {
    const others = readdirSync(this.path).map((name) => join(this.path, name));
    for (const path of others.filter((each) => each !== this.certificates)) {
      rmSync(path, { recursive: true, force: true });
    }
    rmSync(this.certificates, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TemporaryDirectory } from '../../test/support/temporary-directory.ts';
import { askSocket } from '../../test/support/unix-http.ts';

const script = new URL('../../scripts/lib/loop-monitor.mjs', import.meta.url).href;

/** Looks into a process of ours from outside: `scripts/lib/loop-monitor.mjs`. */
export class LoopMonitor implements AsyncDisposable {
  readonly #directory: TemporaryDirectory;

  private constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
  }

  static async create(): Promise<LoopMonitor> {
    return new LoopMonitor(await TemporaryDirectory.create());
  }

  get #socketPath(): string {
    return join(this.#directory.path, 'm');
  }

  /** What Node.js is to be told at the start of the process. */
  get nodeArgs(): readonly string[] {
    return ['--import', `${script}?socket=${this.#socketPath}`];
  }

  /** The 99th percentile of the event loop's delay since it was asked last, in milliseconds. */
  async delayP99Ms(): Promise<number> {
    const { p99 } = (await this.#ask('/delay')) as { readonly p99: number }; // loop-monitor.mjs
    return p99;
  }

  /** Writes a profile of the processor between now and the end of the call. */
  async profile<T>(file: string, during: () => Promise<T>): Promise<T> {
    await this.#ask('/profile/start');
    const result = await during();
    await writeFile(file, JSON.stringify(await this.#ask('/profile/stop')));
    return result;
  }

  async #ask(path: string): Promise<unknown> {
    return (await askSocket(this.#socketPath, path)).body;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directory[Symbol.asyncDispose]();
  }
}

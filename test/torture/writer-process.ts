import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Orders } from './writers/orders.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The writers as plain JavaScript: a process that compiles first would take longer than its life. */
export class CompiledWriters implements Disposable {
  readonly #directory: string;

  constructor() {
    const cache = join(root, 'node_modules/.cache');
    mkdirSync(cache, { recursive: true });
    this.#directory = mkdtempSync(join(cache, 'swarmd-writers-'));
    const config = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        noCheck: true,
        rootDir: root,
        outDir: this.#directory,
        typeRoots: [join(root, 'node_modules/@types')],
      },
      files: ['log-writer', 'driver-writer'].map((name) =>
        join(root, `test/torture/writers/${name}.ts`),
      ),
      include: [],
    };
    const file = join(this.#directory, 'tsconfig.json');
    writeFileSync(file, JSON.stringify(config));
    const { stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', file]);
    symlinkSync(join(root, 'proto'), join(this.#directory, 'proto')); // The schema looks for it there.
    if (!existsSync(this.#path('log-writer'))) throw new Error(stdout.toString());
  }

  start(name: 'log-writer' | 'driver-writer'): Writer {
    return new Writer(spawn(process.execPath, [this.#path(name)]));
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }

  #path(name: string): string {
    return join(this.#directory, `test/torture/writers/${name}.js`);
  }
}

/** What a writer said in its life. */
export interface Life {
  /** The last entry it found of its earlier lives; `undefined`, if it did not come so far. */
  readonly found: number | undefined;
  /** The last entry that was acknowledged; 0 if none was. */
  readonly acknowledged: number;
  /** What was not as it was written, or what it failed with; empty, if all was well. */
  readonly complaint: string;
}

/** A process that waits to be told what to write. */
export class Writer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<void>;
  #output = '';
  #errors = '';

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    this.#closed = new Promise((resolve) => child.once('close', () => resolve()));
    child.stdout.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()));
    child.stdin.on('error', () => undefined); // It was killed before it could read.
  }

  /** Has it write until it is killed, so many milliseconds after it has begun to open its log. */
  async liveFor(orders: Orders, ms: number): Promise<Life> {
    this.#child.stdin.write(`${JSON.stringify(orders)}\n`);
    await Promise.race([delay(ms), this.#closed]);
    return this.kill();
  }

  /** Has it write until it is killed, once so many entries or more are acknowledged. */
  async writeMoreThan(orders: Orders, entries: number): Promise<Life> {
    this.#child.stdin.write(`${JSON.stringify(orders)}\n`);
    const saysEnough = new Promise<void>((resolve) => {
      this.#child.stdout.on('data', () => {
        if (this.#output.split('\n').length > entries + 2) resolve();
      });
    });
    await Promise.race([saysEnough, this.#closed]);
    return this.kill();
  }

  /** Has it write until its log fails. */
  async writeUntilItFails(orders: Orders): Promise<Life> {
    this.#child.stdin.write(`${JSON.stringify(orders)}\n`);
    await this.#closed;
    return this.#life();
  }

  async kill(): Promise<Life> {
    this.#child.kill('SIGKILL');
    await this.#closed;
    return this.#life();
  }

  #life(): Life {
    const lines = this.#output.split('\n').slice(0, -1); // Only whole lines were said.
    const numbers = (word: string): number[] =>
      lines.filter((line) => line.startsWith(word)).map((line) => Number(line.split(' ')[1]));
    const complaints = lines.filter((line) => /^(?:wrong|failed)/u.test(line));
    return {
      found: numbers('found')[0],
      acknowledged: Math.max(0, ...numbers('acknowledged').slice(-5)),
      complaint: [...complaints, this.#errors].join('\n').trim(),
    };
  }
}

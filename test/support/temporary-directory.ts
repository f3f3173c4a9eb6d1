import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory of its own, gone when it is disposed of. */
export class TemporaryDirectory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<TemporaryDirectory> {
    return new TemporaryDirectory(await mkdtemp(join(tmpdir(), 'swarmd-')));
  }

  /** Where nothing is synced to a disk, if there is such a place. */
  static async inMemory(): Promise<TemporaryDirectory> {
    const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    return new TemporaryDirectory(await mkdtemp(join(parent, 'swarmd-')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

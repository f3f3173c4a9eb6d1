import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RaftMember } from '../../manager/index.ts';
import { defaults } from './config.ts';

/** Where this node's manager has its log, which comes and goes with the role. */
export class ManagerLog {
  readonly path: string;
  /** Where a witness of it lies that a copy of the state directory does not have. */
  readonly outsideWitness: string | undefined;
  /** What a person types who wants to get out of trouble with it; options may follow. */
  readonly recoverCommand: string;
  /** What the log itself leaves beside it: where it is and the log is not, the log was lost. */
  readonly #witness: string;
  /** Where a log is moved to that is to be dropped: there it is none any more. */
  readonly #dropped: string;
  readonly #leftBehind: string;

  /** @param socketPath the Engine API's socket: the witness that is not copied lies beside it */
  constructor(statePath: string, socketPath?: string) {
    this.path = join(statePath, 'raft');
    this.outsideWitness = socketPath === undefined ? undefined : `${socketPath}.witness`;
    const host = socketPath === undefined ? defaults.host : `unix://${socketPath}`;
    const hostFlag = host === defaults.host ? '' : ` --host ${host}`;
    this.recoverCommand = `swarmd recover --state-dir ${statePath}${hostFlag}`;
    this.#witness = join(statePath, 'raft.witness');
    this.#dropped = join(statePath, 'raft.dropped');
    this.#leftBehind = join(statePath, 'raft.left-behind.json');
  }

  /** Whether this node's manager has a log, or should have. */
  get exists(): boolean {
    return existsSync(this.path) || existsSync(this.#witness);
  }

  /**
   * The members that this manager was rebuilt without, where they were found. It is needed only to
   * tell them so: what cannot be read is nobody.
   */
  get leftBehind(): readonly RaftMember[] {
    try {
      // Written by leaveBehind below.
      return JSON.parse(readFileSync(this.#leftBehind, 'utf8')) as readonly RaftMember[];
    } catch {
      return [];
    }
  }

  /** Remembers whom this manager goes on without, before it does. */
  leaveBehind(members: readonly RaftMember[]): void {
    const all = [...this.leftBehind, ...members];
    writeFileSync(this.#leftBehind, `${JSON.stringify(all, undefined, 2)}\n`, { mode: 0o600 });
  }

  /**
   * Forgets the log of a manager that is no member any more. It is moved out of its place before it
   * is deleted, so a crash leaves all of it or nothing that looks like one.
   */
  drop(): void {
    if (existsSync(this.path)) {
      rmSync(this.#dropped, { recursive: true, force: true });
      renameSync(this.path, this.#dropped);
    }
    rmSync(this.#witness, { force: true });
    rmSync(this.#leftBehind, { force: true });
    this.forgetOutside();
    rmSync(this.#dropped, { recursive: true, force: true });
  }

  /** A log of the same member may begin anew: what was acknowledged before is not missing in it. */
  forgetOutside(): void {
    if (this.outsideWitness !== undefined) rmSync(this.outsideWitness, { force: true });
  }

  /** Ends what a crash cut short. */
  finishDrop(): void {
    if (!existsSync(this.#dropped)) return;
    if (existsSync(this.path)) rmSync(this.#dropped, { recursive: true, force: true });
    else this.drop();
  }
}

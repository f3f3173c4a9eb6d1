import { type ChildProcess, fork } from 'node:child_process';
import type { Reply, Request } from '../agents/main.ts';
import type { TaskCounts } from '../agents/agent.ts';

const script = new URL('../agents/main.ts', import.meta.url).pathname;

/** Simulated agents, in a process of their own: what they cost is not the manager's. */
export class AgentProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting: Array<(reply: Reply) => void> = [];
  #broken: string | undefined;

  constructor() {
    this.#child = fork(script, { execArgv: ['--import', 'tsx'], stdio: 'inherit' });
    this.#child.on('message', (reply: Reply) => {
      if (reply.kind === 'broken') this.#break(reply.reason);
      else this.#waiting.shift()?.(reply);
    });
    this.#child.on('exit', () => {
      this.#break('the agents have ended');
    });
  }

  async join(request: Omit<Extract<Request, { kind: 'join' }>, 'kind'>): Promise<void> {
    await this.#ask({ kind: 'join', ...request });
  }

  /** How many tasks the agents have and run, and how many sessions they have lost. */
  async counts(): Promise<TaskCounts> {
    const reply = await this.#ask({ kind: 'count' });
    return reply.kind === 'counted' ? reply : { assigned: 0, running: 0, lostSessions: 0 };
  }

  #break(reason: string): void {
    this.#broken ??= reason;
    for (const resolve of this.#waiting.splice(0)) resolve({ kind: 'broken', reason });
  }

  async #ask(request: Request): Promise<Reply> {
    if (this.#broken !== undefined) throw new Error(this.#broken);
    const reply = await new Promise<Reply>((resolve) => {
      this.#waiting.push(resolve);
      this.#child.send(request);
    });
    if (reply.kind === 'broken') throw new Error(reply.reason);
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

import {
  removeAllTasks,
  runAgent,
  type ManagerConnection,
  type Managers,
} from '../../../src/worker/index.ts';
import { SwarmError } from '../../../src/runtime/index.ts';
import { Life } from '../kernel/kernel.ts';
import { Stream } from '../kernel/streams.ts';
import { SimEngine } from '../ports/engine.ts';
import { Host, type Party } from '../ports/host.ts';
import { aTlsInfo } from '../ports/identity.ts';
import { quietLog } from '../ports/quiet-log.ts';
import { TaskDisk } from '../ports/task-disk.ts';
import type { HostName } from './plan/plan.ts';
import type { Parts } from './parts.ts';

/** A node that leaves waits no longer for its containers. `cli/daemon/node.ts` */
const leaveMsMax = 60_000;

/** A worker: a host with an Engine, a task store and an agent, which is started again when it ends. */
export class AgentHost {
  readonly name: HostName;
  readonly host: Host;
  readonly engine: SimEngine;
  readonly disk = new TaskDisk();
  life = new Life();
  isDown = true;
  /** Whether it has a session, as far as it knows. */
  hasSession = false;
  /** Whether it has had one since it was started: then it knows how often it is to be heard. */
  hasHadSession = false;
  /** Whether it is in the swarm, as far as it knows itself. */
  isMember = true;
  /** Its agent is told that the node leaves. */
  isLeaving = false;
  /** The managers it knows. */
  addresses: readonly string[];
  /** Those of them that failed since its last session began. */
  readonly #failed = new Set<string>();
  readonly #parts: Parts;
  readonly #random: Stream;
  #stop: AbortController | undefined;
  #sessions = 0;

  constructor(
    parts: Parts,
    number: number,
    as: { hostNumber: number; addresses: readonly string[] },
  ) {
    const { kernel, seed, setting, checks } = parts;
    this.#parts = parts;
    this.name = `a${number}`;
    const nodeId = `node${String(number).padStart(4, '0')}`;
    this.host = new Host(kernel, as.hostNumber, { nodeId, role: 'swarm-worker' });
    this.addresses = as.addresses;
    this.#random = new Stream(seed, `chance of ${this.name}`);
    const chance = new Stream(seed, `engine of ${this.name}`);
    const deps = { kernel, chance, pace: setting.engine, watch: checks };
    this.engine = new SimEngine(deps, nodeId, this.name);
  }

  /** Starts a process, if none runs and there is power. */
  start(): void {
    if (!this.isDown || !this.host.isUp || !this.isMember || this.host.isLost) return;
    this.isDown = false;
    this.hasHadSession = false;
    this.host.trouble();
    const life = new Life();
    const stop = new AbortController();
    this.life = life;
    this.#stop = stop;
    this.#parts.kernel.after(0, life, () => {
      void this.#live(life, stop.signal);
    });
  }

  crash(isPower: boolean): void {
    const { network, marks } = this.#parts;
    if (isPower && this.host.isUp) {
      if (this.engine.running.length > 0) {
        marks.hit('an agent came back to tasks that had lost their power');
      }
      this.host.isUp = false;
      this.engine.powerCut();
      this.disk.powerCut();
    }
    if (this.isDown) return;
    this.life.isAlive = false;
    this.#gone();
    if (!isPower) network.ended({ host: this.host, life: this.life });
  }

  stop(): void {
    this.#parts.kernel.within(this.life, () => this.#stop?.abort());
  }

  /** `swarm leave`: its agent says so, its containers go, and nothing of the node is kept. */
  leave(): void {
    if (!this.isMember || this.isLeaving) return;
    this.isLeaving = true;
    this.engine.isLeaving = true;
    if (this.isDown) this.#gone();
    else this.stop();
  }

  /** Somebody tells it where managers are: it may have asked in vain until now. */
  tell(addresses: readonly string[]): void {
    this.addresses = addresses;
    this.host.trouble();
  }

  /** `swarmd worker --join`, with its old identity: it is started again, and told where managers are. */
  joinAt(addresses: readonly string[]): void {
    this.crash(false);
    this.addresses = addresses;
    this.start();
  }

  /** It has joined anew, as another node, and is told where managers are. */
  joinAnew(addresses: readonly string[]): void {
    this.host.joinAnew();
    this.engine.nodeId = this.host.nodeId;
    this.addresses = addresses;
    this.isMember = true;
    this.#sessions = 0;
    this.#parts.checks.joined(this.engine);
    this.start();
  }

  async #live(life: Life, signal: AbortSignal): Promise<void> {
    const { checks, kernel, hear, isLoud } = this.#parts;
    const party = { host: this.host, life };
    try {
      await runAgent(
        {
          clock: this.host.clock.of(life),
          random: this.#random,
          log: quietLog((line) => hear(this.name, line), isLoud),
          managers: this.#managers(party),
          executor: this.engine.of(life),
          store: this.disk.open(),
          observer: {
            nodeChanged: () => undefined,
            rootCaChanged: () => undefined,
            sessionOpened: () => {
              this.#sessionOpened();
            },
            sessionClosed: () => {
              this.hasSession = false;
            },
          },
          isLeaving: () => this.isLeaving,
          facts: {
            tlsInfo: () => aTlsInfo,
            tlsChanged: async (inner) => this.host.clock.of(life).sleep(Infinity, inner),
          },
        },
        this.#config,
        signal,
      );
    } catch (error) {
      if (!signal.aborted) checks.broke(this.name, error);
    }
    if (this.isLeaving) await this.#removeAll(life);
    life.isAlive = false;
    this.#gone();
    this.#parts.network.ended(party);
    if (!signal.aborted) kernel.after(1_000, undefined, () => this.start());
  }

  get #config(): { readonly nodeId: string; readonly statePath: string } {
    return { nodeId: this.host.nodeId, statePath: '/nowhere' };
  }

  /** Its containers are stopped and removed, within the time that a node takes for that. */
  async #removeAll(life: Life): Promise<void> {
    const { hear, isLoud, kernel } = this.#parts;
    const within = new AbortController();
    kernel.after(leaveMsMax, life, () => {
      within.abort();
    });
    const deps = {
      clock: this.host.clock.of(life),
      log: quietLog((line) => hear(this.name, line), isLoud),
      executor: this.engine.of(life),
      store: this.disk.open(),
    };
    await removeAllTasks(deps, this.#config, within.signal).catch((error: unknown) => {
      if (!within.signal.aborted) this.#parts.checks.broke(this.name, error);
    });
  }

  #sessionOpened(): void {
    const { marks } = this.#parts;
    this.hasSession = true;
    this.hasHadSession = true;
    this.#failed.clear();
    this.#sessions += 1;
    if (this.#sessions > 1 && this.engine.running.length > 0) {
      marks.hit('an agent reconnected with running tasks');
    }
  }

  #managers(party: Party): Managers {
    const { network } = this.#parts;
    return {
      // As `cli/daemon/remotes.ts` does: who has failed is asked again after the others.
      connect: (failed): ManagerConnection => {
        if (this.addresses.length === 0) throw new SwarmError('unavailable', 'no manager is known');
        if (failed !== undefined) this.#failed.add(failed);
        const left = this.addresses.filter((address) => !this.#failed.has(address));
        if (left.length === 0) this.#failed.clear();
        return network.connect(party, this.#random.pick(left.length > 0 ? left : this.addresses));
      },
      hasOther: (failed) => this.addresses.some((address) => address !== failed),
      learn: (peers) => {
        this.addresses = peers.map(({ addr }) => addr);
      },
    };
  }

  #gone(): void {
    this.host.trouble();
    this.isDown = true;
    this.hasSession = false;
    if (!this.isLeaving) return;
    // What it could not remove, and what was cut short, somebody finishes by hand.
    this.engine.clear();
    this.disk.forgetAll();
    this.isLeaving = false;
    this.engine.isLeaving = false;
    this.isMember = false;
  }
}

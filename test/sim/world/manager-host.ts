import type { Node } from '../../../src/api/index.ts';
import { followedRole } from '../../../src/cli/daemon/followed-role.ts';
import { OwnManager } from '../../../src/cli/daemon/own-manager.ts';
import { Manager } from '../../../src/manager/index.ts';
import type { Store } from '../../../src/manager/store/store.ts';
import { rebuild } from '../../../src/manager/membership/rebuild.ts';
import type { RaftDriver, RaftMember } from '../../../src/raft/index.ts';
import { isSwarmError, type Log } from '../../../src/runtime/index.ts';
import { Life } from '../kernel/kernel.ts';
import { Stream } from '../kernel/streams.ts';
import { Disk } from '../ports/disk.ts';
import { Host, ipOf } from '../ports/host.ts';
import { aRootCa, Certificate } from '../ports/identity.ts';
import { quietLog } from '../ports/quiet-log.ts';
import type { HostName } from './plan/plan.ts';
import type { Parts } from './parts.ts';

/** What a manager's process shows while it runs. */
export interface Running {
  readonly store: Store;
  readonly raft: RaftDriver;
}

/** Where the manager of a number is found. */
const addressOf = (number: number): string => `${ipOf(number)}:2377`;

/** No world has as many hosts. */
const hostsMax = 2_048;

/** How a host begins. */
interface Beginning {
  readonly clusterId: string;
  /** Whether it is to be a manager from the beginning. */
  readonly isManager: boolean;
  /** Where managers are to be found. */
  readonly addresses: () => readonly string[];
}

/** A host that runs a manager while its certificate says so, and starts it again when it ends. */
export class ManagerHost {
  readonly name: HostName;
  readonly host: Host;
  readonly disk: Disk;
  address: string;
  life = new Life();
  manager: Manager | undefined;
  running: Running | undefined;
  /** Its log was refused: it stays down until somebody puts a copy back. */
  isRefused = false;
  /** Somebody will start it again. */
  isDown = true;
  /** Since when. */
  downSince = 0;
  /** Whether it is in the swarm, as far as it knows itself. */
  isMember = true;
  /** Its process is asked to end, and nothing of it is kept then. */
  isLeaving = false;
  /** It was put away: it does not run until somebody brings it back. */
  isAway = false;
  /** Somebody has its disk in hand: nobody else has it leave meanwhile. */
  isBeingRebuilt = false;
  /** It is behind a cut: it hears nothing of its node. */
  isApart = false;
  /** A write failed on purpose: its end is no surprise. */
  isDoomed = false;
  /** How many people wait for its answer. */
  waiting = 0;
  readonly #parts: Parts;
  readonly #as: Beginning;
  readonly #random: Stream;
  #isFounder: boolean;
  #moves = 0;
  /** Whom it goes on without. */
  #leftBehind: readonly RaftMember[] = [];
  #stop: AbortController | undefined;
  #certificate: Certificate | undefined;

  constructor(parts: Parts, number: number, as: Beginning) {
    const { kernel, seed, setting } = parts;
    this.#parts = parts;
    this.#as = as;
    this.name = `m${number}`;
    const role = as.isManager ? 'swarm-manager' : 'swarm-worker';
    this.host = new Host(kernel, number, { nodeId: `manager${number}`, role });
    this.address = addressOf(number);
    this.disk = new Disk(kernel, new Stream(seed, `disk of ${this.name}`), setting.disk);
    this.#random = new Stream(seed, `chance of ${this.name}`);
    this.#isFounder = number === 0;
    parts.network.place(this.address, this.host);
    this.disk.onFailure = () => (this.isDoomed = true);
    this.disk.onSnapshot = () => {
      const raft = this.running?.raft;
      if (raft === undefined || raft.nextIndex() - 1 <= raft.status().lastApplied) return;
      parts.marks.hit('a snapshot was taken while writes were in flight');
    };
  }

  /** Starts a process, if none runs and there is power. */
  start(): void {
    const mayRun = this.host.isUp && this.isMember && !this.isAway && !this.isRefused;
    if (!this.isDown || !mayRun) return;
    this.isDown = false;
    this.isDoomed = false;
    this.waiting = 0;
    const life = new Life();
    const stop = new AbortController();
    this.life = life;
    this.#stop = stop;
    this.disk.mount(life);
    this.#parts.kernel.after(0, life, () => {
      void this.#live(life, stop.signal);
    });
  }

  /** The process is gone from one moment to the next; with the power, the host too. */
  crash(isPower: boolean): void {
    const { kernel, network, marks, checks } = this.#parts;
    if (this.isDown) return;
    if (this.disk.isWriting) marks.hit('a manager died while a batch was on its way to the disk');
    if (this.waiting > 0) marks.hit('a manager died while a person waited for it');
    if (checks.isUpdating) marks.hit('an update was under way when the manager died');
    const { writes } = this.disk;
    this.life.isAlive = false;
    if (isPower) this.host.isUp = false;
    this.disk.cut();
    if (this.disk.writes > writes) marks.hit('a batch reached the disk though its writer died');
    this.#gone();
    if (!isPower) network.ended({ host: this.host, life: this.life });
    kernel.note(this.host.number);
  }

  /** The process is asked to end. */
  stop(): void {
    const { life } = this;
    this.#parts.kernel.within(life, () => this.#stop?.abort());
  }

  /** `swarm leave --force`: its process ends in order, and nothing of the node is kept. */
  leave(): void {
    if (!this.isMember || this.isLeaving || this.isBeingRebuilt) return;
    this.isLeaving = true;
    if (this.isDown) this.#gone();
    else this.stop();
  }

  /** Its host has another address from now on; nobody answers at the old one. */
  move(): void {
    const { network } = this.#parts;
    network.vacate(this.address);
    this.#moves += 1;
    this.address = addressOf(this.host.number + this.#moves * hostsMax);
    network.place(this.address, this.host);
  }

  /** It has joined anew, as another node: a worker, as any. */
  joinAnew(): void {
    this.host.joinAnew();
    this.isMember = true;
    this.start();
  }

  /**
   * `--force-new-cluster`: it goes on without all others, with what its log holds. It does not run
   * meanwhile, and nobody else touches its disk.
   *
   * @returns whether it did
   */
  async rebuild(): Promise<boolean> {
    this.isBeingRebuilt = true;
    try {
      return await this.#goOnAlone();
    } finally {
      this.isBeingRebuilt = false;
    }
  }

  /** The managers have told it of its node: its certificate follows the role. */
  hear(node: Node): void {
    const role = followedRole(node, this.host.role, undefined);
    const certificate = this.#certificate;
    if (role === undefined || certificate === undefined || this.isDown || this.isApart) return;
    this.#parts.kernel.within(this.life, () => {
      certificate.renew(role);
    });
  }

  /** Its disk is replaced by an empty one. */
  loseDisk(): void {
    this.crash(false);
    this.disk.erase();
  }

  async #goOnAlone(): Promise<boolean> {
    const { checks, marks } = this.#parts;
    const life = new Life();
    this.disk.mount(life);
    const old = await this.disk.open();
    const deps = { clock: this.host.clock.of(life), random: this.#random };
    const next = await rebuild(deps, { identity: old.identity, log: await old.load() });
    if (next === undefined) return false;
    this.#leftBehind = [...this.#leftBehind, ...next.leftBehind];
    checks.rebuilt(this, next);
    this.disk.replace(next.identity, next.log);
    marks.hit('a swarm was rebuilt from one manager');
    return true;
  }

  async #live(life: Life, signal: AbortSignal): Promise<void> {
    const { marks, hear, isLoud, checks } = this.#parts;
    const { disk } = this;
    const certificate = new Certificate(this.host, this.#as.clusterId);
    this.#certificate = certificate;
    const managerLog = {
      get exists(): boolean {
        return disk.raftId !== undefined;
      },
      drop: () => {
        this.#leftBehind = [];
        const { raftId } = disk;
        if (raftId !== undefined && !checks.raft.configurations.knows(raftId)) {
          marks.hit('a manager that was left behind came back, and was refused');
        }
        disk.erase();
      },
    };
    const log = quietLog((line) => hear(this.name, line), isLoud);
    const own = new OwnManager<Manager>({
      clock: this.host.clock.of(life),
      log,
      security: certificate.asSecurity,
      renewal: { renewNow: () => undefined },
      managerLog,
      open: async () => this.#open(life, certificate, log),
      changed: (manager) => {
        if (manager === undefined) this.#managesNoMore();
      },
    });
    try {
      await own.run('later', signal);
      this.#ended(life, undefined);
    } catch (error) {
      if (isSwarmError(error, 'data-loss')) {
        this.isRefused = true;
        const { damage = 'value' } = disk;
        if (damage !== 'full') marks.hit(`a log was refused: ${damage}`);
      } else if (this.isDoomed) marks.hit('a write failed, and the manager ended');
      this.#ended(life, error === signal.reason ? undefined : error);
    }
  }

  async #open(life: Life, certificate: Certificate, log: Log): Promise<Manager> {
    const { setting, network, checks } = this.#parts;
    const party = { host: this.host, life };
    const others = (): readonly string[] =>
      this.#as.addresses().filter((address) => address !== this.address);
    const manager = await Manager.open({
      clock: this.host.clock.of(life),
      random: this.#random,
      log,
      security: certificate.asSecurity,
      founding: this.#isFounder
        ? { rootCa: aRootCa, availability: 'DRAIN', isWritten: async () => this.#isWritten() }
        : undefined,
      join: this.#isFounder
        ? undefined
        : { connect: () => network.connect(party, this.#random.pick(others())) },
      logs: this.disk,
      network: network.of(party, this.address),
      advertise: this.address,
      leftBehind: this.#leftBehind,
      hints: others(),
      pace: { snapshotEntries: setting.snapshotEntries, keptEntries: 20 },
      witness: (running) => {
        this.running = running;
        checks.opened(this, running);
      },
    });
    this.manager = manager;
    return manager;
  }

  async #isWritten(): Promise<void> {
    this.#isFounder = false;
    return Promise.resolve();
  }

  #ended(life: Life, error: unknown): void {
    const { kernel, network, checks } = this.#parts;
    life.isAlive = false;
    this.disk.cut();
    this.#gone();
    network.ended({ host: this.host, life });
    if (error === undefined) return;
    const isExpected = this.isDoomed || this.isRefused || !this.isMember;
    if (!isExpected) checks.broke(this.name, error);
    // Whatever supervises the daemon starts it again.
    if (!this.isRefused) kernel.after(1_000, undefined, () => this.start());
  }

  #gone(): void {
    if (!this.isDown) this.downSince = this.#parts.kernel.now;
    this.isDown = true;
    this.host.trouble();
    this.#managesNoMore();
    if (!this.isLeaving) return;
    this.disk.erase();
    this.isRefused = false;
    this.isLeaving = false;
    this.isMember = false;
  }

  #managesNoMore(): void {
    this.manager = undefined;
    this.running = undefined;
    this.#parts.checks.closed(this);
  }
}

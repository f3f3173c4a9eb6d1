import { hasMajority } from '../checks/raft/configurations.ts';
import type { AgentHost } from './agent-host.ts';
import type { ManagerHost } from './manager-host.ts';
import type { Parts } from './parts.ts';
import type { Fault, HostName } from './plan/plan.ts';
import { ordinaryEngine } from './setting.ts';
import type { Call } from '../ports/call.ts';
import type { Host } from '../ports/host.ts';
import type { Transport } from '../ports/transport.ts';

const calmJitterMs = 30;
const slowDisk = { syncMs: 400, stallChance: 0.05, stallMs: 4_000 };

type AnyHost = ManagerHost | AgentHost;
type HostOf<K extends Fault['kind']> = K extends
  | 'slow-disk'
  | 'failing-disk'
  | 'damage'
  | 'crash-writing'
  | 'lose-disk'
  | 'break-snapshot'
  | 'crash-successor'
  | 'move'
  | 'split'
  ? ManagerHost
  : K extends 'forget-tasks' | 'kill-containers' | 'engine' | 'lose-assignment' | 'lose-host'
    ? AgentHost
    : AnyHost;
type Means = {
  readonly [K in Fault['kind']]: (fault: Extract<Fault, { kind: K }>, host: HostOf<K>) => void;
};

/** Carries out faults, and in the end undoes them all. */
export class Nemesis {
  readonly #parts: Parts;
  readonly #managers: readonly ManagerHost[];
  readonly #agents: readonly AgentHost[];
  /** Whose next assignment is lost. */
  readonly losing = new Set<string>();
  /** Who has lost one, and has not asked again: it notices with the next one. */
  readonly deaf = new Set<string>();
  /** To whom the next snapshot breaks off, and whether it has arrived by then. */
  readonly #breaking = new Map<Host, boolean>();
  /** What becomes of the one to whom a manager hands the leadership over. */
  readonly #onceHandingOver = new Map<Host, (to: ManagerHost) => void>();
  /** How many cuts there are between machines. */
  cutsOn = 0;
  #isOver = false;
  readonly #means: Means = {
    crash: ({ isPower, ms }, host) => {
      host.crash(isPower);
      if (this.#managers.length > 1 && this.#managers.every(({ isDown }) => isDown)) {
        this.#parts.marks.hit('all managers were down');
      }
      this.#later(ms, () => {
        this.#power(host);
      });
    },
    'crash-writing': ({ isPower, ms }, host) => {
      host.disk.onceWriting = () => {
        if (this.#isOver) return;
        host.crash(isPower);
        this.#later(ms, () => {
          this.#power(host);
        });
      };
    },
    restart: ({ ms }, host) => {
      host.stop();
      for (const again of [ms, ms + 3_000]) {
        this.#later(again, () => {
          host.start();
        });
      }
    },
    pause: ({ ms }, { host, life }) => {
      const { kernel, marks } = this.#parts;
      kernel.pause(life);
      host.trouble(ms);
      if (ms > 15_000) marks.hit('a process was paused for longer than its grace');
      this.#later(ms, () => {
        kernel.resume(life);
      });
    },
    cut: (fault, { host }) => {
      this.#cut(fault, host);
    },
    split: (fault, { host }) => {
      this.#split(fault, host);
    },
    'break-snapshot': ({ isArrived }, { host }) => {
      this.#breaking.set(host, isArrived);
    },
    'crash-successor': ({ isPower, ms }, { host }) => {
      this.#onceHandingOver.set(host, (to) => {
        this.#parts.marks.hit('a manager died as the leadership was handed over to it');
        to.crash(isPower);
        this.#later(ms, () => {
          this.#power(to);
        });
      });
    },
    move: ({ ms }, manager) => {
      manager.crash(true);
      manager.move();
      this.#parts.marks.hit('a manager came back at another address');
      this.#later(ms, () => {
        this.#power(manager);
      });
    },
    'lose-disk': ({ ms }, manager) => {
      if (!this.#maySpare(manager)) return;
      this.#parts.marks.hit('a manager lost its disk');
      manager.loseDisk();
      this.#later(ms, () => {
        this.#power(manager);
      });
    },
    clog: ({ ms }, { host }) => {
      host.trouble(ms);
      const { wires } = this.#parts.network;
      for (const other of this.#others(host)) {
        wires.clog(host, other, ms);
        wires.clog(other, host, ms);
      }
    },
    loss: ({ rate, ms }, { host }) => {
      this.#lose(host, rate);
      host.trouble(ms);
      this.#later(ms, () => {
        this.#lose(host, 0);
      });
    },
    'clock-step': ({ by }, { host }) => {
      host.clock.step(by);
      if (by < 0) this.#parts.marks.hit('a wall clock went back');
    },
    'clock-drift': ({ rate }, { host }) => {
      host.clock.drift(rate);
    },
    'slow-disk': ({ ms }, { disk, host }) => {
      disk.pace = slowDisk;
      host.trouble(ms);
      this.#later(ms, () => {
        disk.pace = this.#parts.setting.disk;
      });
    },
    'failing-disk': (_, { disk }) => {
      disk.fail(1);
    },
    damage: (fault, manager) => {
      this.#damage(fault, manager);
    },
    'forget-tasks': ({ ms }, agent) => {
      agent.crash(false);
      if (!agent.disk.isEmpty) this.#parts.marks.hit('an agent had forgotten its tasks');
      agent.disk.forgetAll();
      agent.engine.plantStray();
      this.#later(ms, () => {
        this.#power(agent);
      });
    },
    'kill-containers': ({ exitCode }, { engine }) => {
      for (const { task } of engine.running) engine.end(task.id, exitCode);
    },
    engine: ({ state, ms, isAtStart }, { engine }) => {
      if (isAtStart) engine.onceStarting = () => engine.become(state);
      else engine.become(state);
      this.#later(ms, () => {
        engine.onceStarting = undefined;
        engine.become('well');
      });
    },
    'lose-host': (_, agent) => {
      agent.crash(true);
      agent.host.isLost = true;
      this.#parts.marks.hit('a host was gone for good');
    },
    'lose-assignment': (_, { host }) => {
      this.losing.add(host.nodeId);
    },
  };

  constructor(parts: Parts, managers: readonly ManagerHost[], agents: readonly AgentHost[]) {
    this.#parts = parts;
    this.#managers = managers;
    this.#agents = agents;
  }

  /** Does one thing. */
  do(fault: Fault): void {
    const host = this.#find(fault.host);
    if (host === undefined) return;
    // Each kind has its own; what it needs follows from the name of the host.
    const means = this.#means[fault.kind] as (fault: Fault, host: AnyHost) => void;
    means(fault, host);
  }

  /** Whether a connection breaks now: before a snapshot arrives, or before that is confirmed. */
  breaks({ method, transport }: Call, isArrived: boolean): boolean {
    if (method.name !== 'StreamRaftMessage') return false;
    const host = this.#parts.network.hostOf(transport.address);
    if (host === undefined || this.#breaking.get(host) !== isArrived) return false;
    this.#breaking.delete(host);
    this.#parts.marks.hit(
      isArrived ? 'a snapshot arrived, and nobody was told' : 'a snapshot broke off',
    );
    return true;
  }

  /** A manager tells another to take over. */
  handsOver({ client, address }: Transport): void {
    const what = this.#onceHandingOver.get(client.host);
    const to = this.#managers.find((manager) => manager.address === address);
    if (what === undefined || to === undefined) return;
    this.#onceHandingOver.delete(client.host);
    what(to);
  }

  /** From now on nothing goes wrong, and everything that is down comes up. */
  heal(): void {
    const { kernel, network, setting } = this.#parts;
    this.#isOver = true;
    network.wires.heal();
    const { weather } = network.wires;
    // Where now and then a round trip takes as long as an election timeout there are elections.
    const jitterMs = Math.min(weather.jitterMs, calmJitterMs);
    network.wires.weather = { ...weather, jitterMs, loss: 0, repeat: 0, repeatLate: 0 };
    this.losing.clear();
    this.#breaking.clear();
    this.#onceHandingOver.clear();
    this.cutsOn = 0;
    // No wire loses a message and goes on: if no other follows, the connection breaks.
    for (const agent of this.#agents) if (this.deaf.has(agent.host.nodeId)) agent.crash(false);
    for (const host of [...this.#managers, ...this.#agents]) {
      if (host.life.isPaused) kernel.resume(host.life);
      host.host.clock.drift(1);
      this.#power(host);
      // One that is ending, on a disk that stalls, takes its time.
      for (const again of [3_000, 10_000, 20_000]) {
        kernel.after(again, undefined, () => {
          this.#power(host);
        });
      }
    }
    for (const { engine } of this.#agents) {
      engine.onceStarting = undefined;
      engine.become('well');
      engine.pace = ordinaryEngine;
    }
    for (const manager of this.#managers) {
      manager.disk.pace = { ...setting.disk, stallChance: 0 };
      this.#putBack(manager);
    }
  }

  /** A log is damaged; somebody notices that its manager does not come up, and puts a copy back. */
  #damage({ damage, ms }: Extract<Fault, { kind: 'damage' }>, manager: ManagerHost): void {
    manager.disk.spoil(damage);
    if (damage !== 'full') manager.crash(false);
    this.#later(1_000, () => {
      this.#power(manager);
    });
    for (const later of [2_000, 10_000]) {
      this.#later(later + ms, () => {
        this.#putBack(manager);
      });
    }
  }

  #cut({ way, ms }: Extract<Fault, { kind: 'cut' }>, machine: Host): void {
    const { wires } = this.#parts.network;
    this.cutsOn += 1;
    machine.trouble(ms);
    this.#later(ms, () => {
      this.cutsOn -= 1;
    });
    for (const other of this.#others(machine)) {
      if (way !== 'out') wires.cut(other, machine);
      if (way !== 'in') wires.cut(machine, other);
      this.#later(ms, () => {
        wires.mend(other, machine);
        wires.mend(machine, other);
      });
    }
  }

  #split({ with: names, way, ms }: Extract<Fault, { kind: 'split' }>, machine: Host): void {
    const { wires } = this.#parts.network;
    const side = new Set([machine, ...names.flatMap((name) => this.#find(name)?.host ?? [])]);
    const there = this.#managers.map(({ host }) => host).filter((host) => !side.has(host));
    this.cutsOn += 1;
    for (const one of [...side, ...there]) one.trouble(ms);
    for (const here of side) {
      for (const other of there) {
        if (way !== 'out') wires.cut(other, here);
        if (way !== 'in') wires.cut(here, other);
      }
    }
    this.#later(ms, () => {
      this.cutsOn -= 1;
      for (const here of side) {
        for (const other of there) {
          wires.mend(other, here);
          wires.mend(here, other);
        }
      }
    });
  }

  /** Cuts a manager off from the others, or the one that leads, though all faults are over. */
  isolate({ host }: ManagerHost, from: 'others' | 'leader', ms: number): void {
    const { kernel, network } = this.#parts;
    const { wires } = network;
    const others = this.#managers
      .filter(({ manager }) => from === 'others' || manager?.isLeader === true)
      .map((other) => other.host)
      .filter((other) => other !== host);
    host.trouble(ms);
    for (const other of others) {
      wires.cut(host, other);
      wires.cut(other, host);
      other.trouble(ms);
    }
    kernel.after(ms, undefined, () => {
      for (const other of others) {
        wires.mend(host, other);
        wires.mend(other, host);
      }
    });
  }

  /** Whether the group bears it that a log is gone for good, as the others know the group. */
  #maySpare(lost: ManagerHost): boolean {
    const { configurations } = this.#parts.checks.raft;
    const { newest } = configurations;
    if (lost.disk.raftId === undefined) return false;
    const others = this.#managers.filter((manager) => manager !== lost);
    const known = others.map(
      ({ running }) => running?.raft.status().lastApplied ?? newest.since - 1,
    );
    return [newest, ...known.map((index) => configurations.at(index))].every((configuration) =>
      hasMajority(configuration, (id) =>
        others.some(({ disk, isLeaving }) => disk.raftId === id && !isLeaving),
      ),
    );
  }

  #lose(machine: Host, rate: number): void {
    for (const other of this.#others(machine)) {
      this.#parts.network.wires.lose(machine, other, rate);
      this.#parts.network.wires.lose(other, machine, rate);
    }
  }

  /** Whom a host talks to: agents to managers, managers to all. */
  #others(machine: Host): readonly Host[] {
    const isManager = this.#managers.some(({ host }) => host === machine);
    const all = isManager ? [...this.#managers, ...this.#agents] : this.#managers;
    return all.map(({ host }) => host).filter((host) => host !== machine);
  }

  #power(host: AnyHost): void {
    if (host.host.isLost) return;
    if (!host.host.isUp) host.host.trouble();
    host.host.isUp = true;
    host.start();
  }

  /** Somebody puts back a copy of a log that was refused. */
  #putBack(manager: ManagerHost): void {
    if (!manager.isRefused && !this.#isOver) return;
    manager.disk.repair();
    manager.isRefused = false;
    manager.start();
  }

  #later(ms: number, undo: () => void): void {
    this.#parts.kernel.after(ms, undefined, () => {
      if (!this.#isOver) undo();
    });
  }

  #find(name: HostName): AnyHost | undefined {
    if (name === 'leader') return this.#managers.find(({ manager }) => manager?.isLeader === true);
    const number = Number(name.slice(1));
    return name.startsWith('m') ? this.#managers[number] : this.#agents[number];
  }
}

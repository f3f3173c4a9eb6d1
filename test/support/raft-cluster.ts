import { codecOf } from '../../src/api/index.ts';
import {
  type Message,
  messageFromWire,
  messageToWire,
  RaftDriver,
  type RaftDriverConfig,
  type RaftDriverDeps,
} from '../../src/raft/index.ts';
import { raftDefaults } from '../../src/raft/config.ts';
import { countingRandom } from './counting-random.ts';
import { ListMachine } from './list-machine.ts';
import { aLogIdentity, MemoryLogStore } from './memory-log-store.ts';
import { silentLog } from './silent-log.ts';
import { VirtualClock } from './virtual-clock.ts';

const messageCodec = codecOf('raftpb.Message');

/** One running member. */
export interface RunningMember {
  readonly driver: RaftDriver;
  readonly machine: ListMachine;
  readonly store: MemoryLogStore;
  /** Settles when it has ended; rejects if it broke. */
  readonly ended: Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Drivers in one process, on one virtual clock; their messages pass through the wire's form. */
export class RaftCluster {
  readonly clock = new VirtualClock();
  readonly members = new Map<string, RunningMember>();
  readonly #config: Partial<RaftDriverConfig>;
  readonly #random = countingRandom();
  readonly #isolated = new Set<string>();
  /** What those have said who are held up, in order. */
  readonly #held = new Map<string, Message[]>();

  constructor(config: Partial<RaftDriverConfig> = {}) {
    this.#config = config;
  }

  /** Founds the cluster with member 1, and waits until it leads. */
  async found(): Promise<RunningMember> {
    const store = new MemoryLogStore(aLogIdentity('1'));
    return this.#run(store, async (deps) =>
      RaftDriver.found(deps, { addr: 'host-1:2377' }, this.#config),
    );
  }

  /** Runs a member on what its disk holds. */
  async open(store: MemoryLogStore): Promise<RunningMember> {
    return this.#run(store, async (deps) => RaftDriver.open(deps, this.#config));
  }

  /** Starts another member, and has the leader add it. */
  async join(id: string, leader: RunningMember): Promise<RunningMember> {
    const joiner = await this.open(new MemoryLogStore(aLogIdentity(id)));
    const { raftId, nodeId } = joiner.store.identity;
    const member = { raftId, nodeId, addr: `host-${id}:2377` };
    const added = leader.driver.changeMember({ type: 'ConfChangeAddNode', raftId, member });
    await this.pass(3);
    await added;
    return joiner;
  }

  /** Three members, of which the first leads. */
  async ofThree(): Promise<[RunningMember, RunningMember, RunningMember]> {
    const first = await this.found();
    const second = await this.join('2', first);
    return [first, second, await this.join('3', first)];
  }

  /** Lets `ticks` pass, and all that follows from them. */
  async pass(ticks: number): Promise<void> {
    for (let tick = 0; tick < ticks; tick += 1) await this.clock.advance(raftDefaults.tickMs);
  }

  /** Lets everything happen that waits for no time to pass. */
  async settle(): Promise<void> {
    await this.clock.advance(0);
  }

  isolate(id: string): void {
    this.#isolated.add(id);
  }

  heal(): void {
    this.#isolated.clear();
  }

  /** What a member says arrives later, though it may be dead by then. */
  holdUp(id: string): void {
    this.#held.set(id, []);
  }

  /** What was held up of a member's words arrives now. */
  release(id: string): void {
    const late = this.#held.get(id) ?? [];
    this.#held.delete(id);
    this.#deliver(late);
  }

  get leaders(): string[] {
    return [...this.members].flatMap(([id, { driver }]) => (driver.status().isLeader ? [id] : []));
  }

  async stop(): Promise<void> {
    for (const { stop } of this.members.values()) await stop();
  }

  async #run(
    store: MemoryLogStore,
    start: (deps: RaftDriverDeps) => Promise<RaftDriver>,
  ): Promise<RunningMember> {
    const machine = new ListMachine();
    const { clock } = this;
    const send = (messages: readonly Message[]): void => {
      this.#deliver(messages);
    };
    const deps = { clock, random: this.#random, log: silentLog, stateMachine: machine, send };
    const driver = await start({ ...deps, logStore: store });
    const controller = new AbortController();
    const ended = driver.run(controller.signal);
    const stop = async (): Promise<void> => {
      controller.abort();
      await ended.catch(() => undefined);
    };
    const member = { driver, machine, store, ended, stop };
    this.members.set(store.identity.raftId, member);
    await clock.advance(0);
    return member;
  }

  #deliver(messages: readonly Message[]): void {
    for (const message of messages) {
      if (this.#isolated.has(message.from) || this.#isolated.has(message.to)) continue;
      const held = this.#held.get(message.from);
      if (held !== undefined) {
        held.push(message);
        continue;
      }
      const bytes = messageCodec.encode(messageToWire(message));
      this.members.get(message.to)?.driver.receive(messageFromWire(messageCodec.decode(bytes)));
    }
  }
}

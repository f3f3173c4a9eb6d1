import { type Caller, localClient, type RpcClient, type ServiceHandlers } from '../api/index.ts';
import { clusterRootCa } from '../ca/index.ts';
import { type RaftDriver, raftDefaults, type RaftStatus } from '../raft/index.ts';
import {
  assert,
  childOf,
  firstOf,
  isSwarmError,
  messageOf,
  newId,
  onAbort,
  orAborted,
  runTogether,
  type Subscription,
  SwarmError,
} from '../runtime/index.ts';
import { Authority } from './authority/authority.ts';
import { runAutolock } from './autolock.ts';
import { createControl } from './control/control.ts';
import { Dispatcher } from './dispatcher/dispatcher.ts';
import { firstCluster } from './first-cluster.ts';
import { Health } from './grpc/health.ts';
import { LeaderLink } from './grpc/leader-link.ts';
import { type Leader, onLeader } from './grpc/leader-proxy.ts';
import { runLeader } from './leader.ts';
import { LogBroker } from './log-broker.ts';
import type { ManagerDeps } from './manager-deps.ts';
import { withCurrentReads } from './membership/current-reads.ts';
import { handOver } from './membership/hand-over.ts';
import { MembershipService } from './membership/membership-service.ts';
import { followPace } from './membership/pace.ts';
import { RaftService } from './membership/raft-service.ts';
import { Seat } from './membership/seat.ts';
import { isTaskDirty } from './orchestrator/slots.ts';
import { Store } from './store/store.ts';

/** How long a manager whose loops broke waits before it runs them again. */
const afterBreakMs = 1_000;

/** After so many ticks without a leader nobody waits for one. SwarmKit: ten, each ten times longer. */
const leaderlessTicksMax = 30;

/** One manager: its log, its store, its loops while it leads, and its doors. */
export class Manager implements AsyncDisposable {
  /** Calls of this manager by the person at this node: the control API and the logs. */
  readonly client: RpcClient;
  readonly #deps: ManagerDeps;
  readonly #store: Store;
  readonly #seat: Seat;
  readonly #dispatcher: Dispatcher;
  readonly #logBroker: LogBroker;
  readonly #services: ServiceHandlers;
  readonly #self: Caller;
  readonly #leaderLink: LeaderLink;
  #leaderlessSince: number | undefined;
  #hasEnded = false;
  #serving: (() => void) | undefined;
  #isServing: Promise<void>;

  private constructor(deps: ManagerDeps, store: Store, seat: Seat) {
    this.#deps = deps;
    this.#store = store;
    this.#seat = seat;
    this.#leaderlessSince = deps.clock.monotonic();
    this.#isServing = new Promise((resolve) => {
      this.#serving = resolve;
    });
    const { nodeId, clusterId } = deps.security.current;
    this.#self = {
      kind: 'node',
      nodeId,
      clusterId,
      role: 'swarm-manager',
      remoteIp: this.#ownIp(),
    };
    const shared = { ...deps, store };
    this.#dispatcher = new Dispatcher({
      ...shared,
      log: deps.log.child({ module: 'dispatcher' }),
      self: { nodeId },
      managers: () => seat.members(),
    });
    this.#logBroker = new LogBroker({ ...shared, log: deps.log.child({ module: 'log-broker' }) });
    this.#leaderLink = new LeaderLink(deps);
    this.#services = this.#assemble();
    this.client = localClient(onLeader(this.#proxyDeps('self'), this.#services), this.#self);
  }

  /**
   * Opens a manager's log and brings its store up to what the log holds. A founder's log is made;
   * that of a manager that is to join is made once it runs.
   *
   * @throws SwarmError data-loss, if the log is damaged; or gone, and there is no way to join
   */
  static async open(deps: ManagerDeps): Promise<Manager> {
    const { security, founding, network, witness } = deps;
    const store = new Store({ clock: deps.clock });
    const { clusterId, nodeId } = security.current;
    const seat = await Seat.open({
      ...deps,
      log: deps.log.child({ module: 'raft' }),
      clusterId,
      nodeId,
      store,
      mayFound: founding !== undefined,
      connect: (address) => network.connect(address),
      opened: (raft) => {
        witness?.({ store, raft });
      },
    });
    return new Manager(deps, store, seat);
  }

  /** Whether this manager leads and serves. */
  get isLeader(): boolean {
    return this.#seat.isLeader;
  }

  /** For how long there has been no leader, in milliseconds; `undefined` while there is one. */
  get leaderlessForMs(): number | undefined {
    const leader = this.#leader();
    return leader.kind === 'none' ? this.#deps.clock.monotonic() - leader.since : undefined;
  }

  /**
   * Resolves once the manager answers: its doors are open, there is a leader, and it has what the
   * leader had.
   */
  async serving(signal: AbortSignal): Promise<void> {
    await orAborted(this.#isServing, signal);
  }

  /**
   * Runs until the signal aborts, or until this manager is none any more: `removed`, once the others
   * have taken it out of their group. Its log is of no use then, and the node may go on as a worker.
   * What was acknowledged is on disk. A leader hands over before it ends.
   *
   * @throws what broke it: its log, or a door that could not be opened; permission-denied, if it may
   *   not join
   */
  async run(signal: AbortSignal): Promise<'removed' | 'ended'> {
    const life = new AbortController();
    const asked = childOf(signal);
    try {
      await runTogether(life.signal, [
        async (inner) => {
          await this.#seat.run(inner);
          life.abort();
        },
        async (inner) => this.#followLeadership(inner),
        async (inner) => this.#serve(inner),
        async (inner) => this.#keepSealed(inner),
        async (inner) => {
          const raft = await this.#seat.opened(inner);
          await followPace({ store: this.#store, raft }, this.#deps.pace ?? {}, inner);
        },
        async (inner) => {
          await aborted(asked.signal, inner);
          if (this.isLeader) await handOver({ ...this.#deps, raft: this.#seat.raft }, inner);
          life.abort(signal.reason);
        },
      ]);
    } finally {
      asked[Symbol.dispose]();
      this.#hasEnded = true; // Whoever still asks it is not to wait.
      this.#leaderLink[Symbol.dispose]();
    }
    return this.#seat.wasRemoved ? 'removed' : 'ended';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#seat[Symbol.asyncDispose]();
  }

  #assemble(): ServiceHandlers {
    const shared = { ...this.#deps, store: this.#store };
    const seat = this.#seat;
    const raft = (): RaftDriver => seat.raft;
    const authority = new Authority({
      ...shared,
      log: this.#deps.log.child({ module: 'ca' }),
    });
    const raftService = new RaftService({
      raft,
      advertise: this.#deps.advertise,
      letIn: async (signal) => seat.letIn(signal),
      addressOf: (id) => seat.addressOf(id),
      met: (id, address) => {
        seat.met(id, address);
      },
      hear: (id, address) => {
        seat.hear(id, address);
      },
    });
    return {
      CA: authority,
      NodeCA: authority,
      Dispatcher: this.#dispatcher,
      LogBroker: this.#logBroker,
      Logs: this.#logBroker,
      Control: withCurrentReads(
        createControl({
          ...shared,
          raft: { members: () => seat.members() },
          isDirty: isTaskDirty,
        }),
        async (signal) => seat.raft.confirmLeadership(signal),
      ),
      Raft: raftService,
      RaftStream: raftService,
      RaftMembership: new MembershipService({
        ...shared,
        log: this.#deps.log.child({ module: 'raft' }),
        connect: (address) => this.#deps.network.connect(address),
        raft,
      }),
      Health: new Health({ Raft: () => true, ControlAPI: () => seat.isMember }),
    };
  }

  #proxyDeps(onBehalfOf: 'caller' | 'self'): Parameters<typeof onLeader>[0] {
    const { clock, pace } = this.#deps;
    const patienceMs = leaderlessTicksMax * (pace?.tickMs ?? raftDefaults.tickMs);
    return { leader: () => this.#leader(), clock, onBehalfOf, patienceMs };
  }

  #leader(): Leader {
    if (this.#hasEnded) return { kind: 'none', since: -Infinity };
    const { isLeader, leaderAddress } = this.#seat;
    if (isLeader || leaderAddress !== undefined) this.#leaderlessSince = undefined;
    if (isLeader) return { kind: 'self' };
    if (leaderAddress !== undefined) {
      return { kind: 'other', ...this.#leaderLink.to(leaderAddress) };
    }
    this.#leaderlessSince ??= this.#deps.clock.monotonic();
    return { kind: 'none', since: this.#leaderlessSince };
  }

  #ownIp(): string {
    return this.#deps.advertise.replace(/:\d+$/u, '').replaceAll(/[[\]]/gu, '');
  }

  async #serve(signal: AbortSignal): Promise<void> {
    const { security, network } = this.#deps;
    const isRemoved = (nodeId: string): boolean =>
      this.#store.view((view) => {
        const [cluster] = view.find('cluster');
        return cluster !== undefined && Object.hasOwn(cluster.blacklistedCertificates, nodeId);
      });
    // Each manager answers for itself whether it is well, and what its Raft is told.
    const { Health: health = {}, Raft: raft = {}, RaftStream = {}, ...proxied } = this.#services;
    const { RaftMembership: _, ...forAgents } = proxied;
    const door = {
      handlers: {
        ...onLeader(this.#proxyDeps('caller'), proxied),
        Health: health,
        Raft: raft,
        RaftStream,
      },
      clusterId: security.current.clusterId,
      isRemoved,
    };
    await runTogether(signal, [
      async (inner) => network.serveCluster(door, inner),
      async (inner) =>
        network.serveSelf(
          { ...onLeader(this.#proxyDeps('self'), forAgents), Health: health },
          this.#self,
          inner,
        ),
    ]);
  }

  /** Seals this manager's disk as the swarm wants it, whether it leads or not. */
  async #keepSealed(signal: AbortSignal): Promise<void> {
    const { seal } = this.#deps;
    if (seal === undefined) return;
    const raft = await this.#seat.opened(signal);
    const compactLog = (): void => {
      raft.compact();
    };
    const log = this.#deps.log.child({ module: 'autolock' });
    await runAutolock({ ...this.#deps, store: this.#store, seal, compactLog, log }, signal);
  }

  /** Starts and ends the leader's loops with the leadership. */
  async #followLeadership(signal: AbortSignal): Promise<void> {
    const raft = await this.#seat.opened(signal);
    using changes = raft.watchStatus();
    this.#noteStatus(raft);
    while (!signal.aborted) {
      if (!this.isLeader) {
        await changes.changed(signal);
        changes.drain();
        this.#noteStatus(raft);
        continue;
      }
      await this.#term(raft, changes, signal).catch(async (error: unknown) => {
        signal.throwIfAborted();
        await this.#stepAside(raft, changes, error, signal);
      });
    }
  }

  /** Notes since when there is no leader that can be found, and whether there is one to serve by. */
  #noteStatus(raft: RaftDriver): void {
    const { leaderId, raftId } = raft.status();
    if (this.#leader().kind === 'self') this.#leaderLink[Symbol.dispose]();
    const self = raft.members().find((member) => member.raftId === raftId);
    const isCaughtUp = leaderId !== undefined && self?.isLearner === false;
    const hasCluster = this.#store.view((view) => view.find('cluster').length > 0);
    if (leaderId !== raftId && isCaughtUp && hasCluster) this.#serving?.();
  }

  /** One term of leadership: the leader's loops, for as long as this manager leads. */
  async #term(
    raft: RaftDriver,
    changes: Subscription<RaftStatus>,
    signal: AbortSignal,
  ): Promise<void> {
    using term = childOf(signal);
    await runTogether(term.signal, [
      async (inner) => this.#lead(raft, inner),
      async (inner) => {
        while (this.isLeader) {
          await changes.changed(inner);
          changes.drain();
          this.#dispatcher.managersChanged();
        }
        this.#noteStatus(raft);
        term.abort(new SwarmError('unavailable', 'the leadership is lost'));
      },
    ]);
  }

  /**
   * A loop broke. Its state is in the store, so another leader can go on, or this manager itself
   * with fresh loops if there is no other.
   */
  async #stepAside(
    raft: RaftDriver,
    changes: Subscription<RaftStatus>,
    error: unknown,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, clock } = this.#deps;
    if (isSwarmError(error, 'unavailable')) {
      // A write was refused: the leadership is lost, or on its way to another.
      log.debug({ reason: messageOf(error) }, 'the loops of the leader end');
      await firstOf(
        signal,
        async (inner) => changes.changed(inner),
        async (inner) => clock.sleep(afterBreakMs, inner),
      );
      return;
    }
    log.error({ err: error }, 'a loop of the leader broke: it hands over, or starts them all anew');
    if (raft.members().some(({ isLeader, isReachable }) => !isLeader && isReachable)) {
      raft.transferLeadership();
    }
    await clock.sleep(afterBreakMs, signal);
  }

  async #lead(raft: RaftDriver, signal: AbortSignal): Promise<void> {
    const { log, founding, clock, random } = this.#deps;
    const { term, raftId }: RaftStatus = raft.status();
    log.info({ 'raft.term': term, 'raft.id': raftId }, 'this manager leads');
    await this.#found();
    await founding?.isWritten();
    await raft.updateAddress(this.#deps.advertise);
    this.#serving?.();
    await runLeader(
      {
        store: this.#store,
        raft,
        clock,
        random,
        log,
        dispatcher: this.#dispatcher,
        logBroker: this.#logBroker,
      },
      signal,
    );
  }

  /** Writes what a new swarm begins with, if the log does not have it. */
  async #found(): Promise<void> {
    const { founding, security, random } = this.#deps;
    if (this.#store.view((view) => view.find('cluster').length > 0)) return;
    assert(founding !== undefined, 'a log without a cluster is a founder’s');
    const { clusterId, nodeId, certPem } = security.current;
    const objects = firstCluster({
      clusterId,
      nodeId,
      rootCa: clusterRootCa(random, founding.rootCa),
      certificate: Buffer.from(certPem),
      availability: founding.availability,
      newId: () => newId(random),
    });
    await this.#store.update((tx) => {
      for (const { kind, object } of objects) tx.create(kind, object);
    });
  }
}

/** Resolves when `asked` aborts; rejects if `signal` does so first. */
async function aborted(asked: AbortSignal, signal: AbortSignal): Promise<void> {
  if (asked.aborted) return;
  await orAborted(
    new Promise<void>((resolve) => {
      onAbort(asked, resolve);
    }),
    signal,
  );
}

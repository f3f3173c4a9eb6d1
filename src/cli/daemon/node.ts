import {
  enroll,
  foundIdentity,
  KeyStore,
  type LoadedIdentity,
  loadIdentity,
} from '../../ca/index.ts';
import type { CertificateRole, RpcClient } from '../../api/index.ts';
import type {
  InitRequest,
  JoinRequest,
  LocalNodeState,
  NodeControl,
  NodeInfo,
} from '../../manager/index.ts';
import {
  assert,
  childOf,
  type ChildAbort,
  firstOf,
  messageOf,
  orAborted,
  SwarmError,
  Watch,
} from '../../runtime/index.ts';
import { removeAllTasks } from '../../worker/index.ts';
import { type ClusterAddresses, clusterAddresses, hostPort, parseHostPort } from './addresses.ts';
import type { DaemonConfig } from './config.ts';
import { hostInterfaces } from './host.ts';
import { Membership, type MembershipConfig } from './membership.ts';
import { checkNewBeginning } from './node/new-beginning.ts';
import type { NodeDeps } from './node/deps.ts';
import { type AskedAddresses, OwnAddresses, unlessToldOtherwise } from './node/own-addresses.ts';
import { alreadyMember, joinTimeout, notManager, notMember } from './node/texts.ts';
import { goOnAlone } from './recover.ts';
import { Remotes } from './remotes.ts';

/** How long a join, or an unlock, waits for the node to serve. Engine API `/swarm/join` */
const readyWaitMs = 20_000;
/** How long leaving waits for containers to stop. */
const leaveWaitMs = 60_000;

/** One stay in a swarm, and the means to end it. */
interface Stay {
  readonly membership: Membership;
  readonly life: ChildAbort;
  readonly ended: Promise<void>;
}

/** This node: a member of a swarm, or waiting to become one. */
export class Node implements NodeControl {
  readonly #deps: NodeDeps;
  readonly #config: DaemonConfig;
  readonly #keyStore: KeyStore;
  readonly #remotes: Remotes;
  readonly #changed = new Watch<'changed'>();
  readonly #addresses: OwnAddresses;
  #security: LoadedIdentity['security'] | undefined;
  #stay: Stay | undefined;
  #isBusy = false;
  /** Whether it is to go on without all other managers once it comes back. */
  #goesOnAlone: boolean;
  /** Whether it is a manager whose key nobody has opened yet: it serves nothing of its swarm. */
  #isLocked = false;
  #signal: AbortSignal | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(deps: NodeDeps, config: DaemonConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#goesOnAlone = config.forceNewCluster;
    this.#keyStore = new KeyStore({ ...deps, directory: deps.stateDir.certificates });
    const state = deps.stateDir.readState();
    this.#addresses = new OwnAddresses(config, state);
    this.#remotes = new Remotes(
      {
        random: deps.random,
        identity: () => this.#security?.current,
        remember: () => {
          this.#remember();
        },
      },
      state?.managers ?? [],
    );
  }

  /**
   * Comes back as what it was; or, on an empty state directory, founds or joins a swarm as its
   * flags say.
   *
   * @returns whether it founded a swarm
   * @throws SwarmError, if it cannot: the state directory is then as it was
   */
  async begin(signal: AbortSignal): Promise<{ readonly hasFounded: boolean }> {
    this.#signal = signal;
    this.#isLocked = await this.#keyStore.isLocked();
    if (this.#isLocked) {
      this.#deps.log.warn('this manager is locked: unlock it with swarmd swarm unlock');
      return { hasFounded: false };
    }
    const identity = await loadIdentity({ ...this.#deps, keyStore: this.#keyStore });
    if (identity !== undefined) {
      this.#remotes.try(this.#config.join);
      await this.#resume(identity);
      return { hasFounded: false };
    }
    if (this.#deps.stateDir.isUsed) {
      throw new SwarmError(
        'data-loss',
        `state directory ${this.#deps.stateDir.path}: its node's certificates are missing: restore them from a copy, or empty the directory for a new node`,
      );
    }
    const { mode, join, token, availability } = this.#config;
    const { listenAddr, advertiseAddr } = this.#addresses.asked;
    if (join.length > 0) {
      const request = { listenAddr, advertiseAddr, remoteAddrs: join, joinToken: token };
      const wanted = mode === 'manager' ? 'swarm-manager' : undefined;
      if (!(await this.#join({ ...request, availability }, wanted))) {
        this.#deps.log.warn('this node has not joined yet: it goes on trying');
      }
      return { hasFounded: false };
    }
    if (mode !== 'manager') return { hasFounded: false };
    await this.init({ listenAddr, advertiseAddr, forceNewCluster: false, availability });
    return { hasFounded: true };
  }

  /**
   * Runs until the signal aborts, in a swarm or out of one.
   *
   * @throws what broke the node's life in its swarm
   */
  async run(signal: AbortSignal): Promise<void> {
    using changes = this.#changed.subscribe();
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (signal.aborted) break;
      await changes.changed(signal).catch(() => undefined);
      changes.drain();
    }
    await this.#stay?.ended.catch(() => undefined);
  }

  info(): NodeInfo {
    const membership = this.#stay?.membership;
    const leaderlessForMs = membership?.manager?.leaderlessForMs;
    return {
      state: this.#state(),
      hostname: this.#config.hostname,
      nodeId: membership?.nodeId ?? '',
      nodeAddr: membership === undefined ? '' : this.#addresses.host,
      isManager: membership?.manager !== undefined,
      ...(leaderlessForMs === undefined ? {} : { leaderlessForMs }),
      error: this.#isLocked ? notManager.locked : (membership?.error ?? ''),
      remoteManagers: membership === undefined ? [] : this.#remotes.known,
    };
  }

  managers(): RpcClient {
    const membership = this.#stay?.membership;
    const { manager, isManager } = membership ?? {};
    if (manager !== undefined) return manager.client;
    if (this.#isLocked) throw new SwarmError('unavailable', notManager.locked);
    const reason =
      membership === undefined ? 'inactive' : isManager === true ? 'preparing' : 'worker';
    throw new SwarmError('unavailable', notManager[reason]);
  }

  async init(request: InitRequest): Promise<string> {
    if (request.forceNewCluster && (this.#stay !== undefined || this.#isLocked)) {
      return this.#beginAnew(request);
    }
    return this.#alone(async (signal) => {
      // A guess among several addresses would be wrong on somebody's host: there is nobody to ask.
      clusterAddresses(request, hostInterfaces());
      this.#addresses.ask(request);
      const identity = await foundIdentity({ ...this.#deps, keyStore: this.#keyStore });
      const stay = this.#enter(identity, { ...request, isEntering: true });
      await this.#undoneIfFailed(orAborted(stay.membership.ready, signal), stay);
      return stay.membership.nodeId;
    });
  }

  async join(request: JoinRequest): Promise<void> {
    if (!(await this.#join(request))) throw new SwarmError('unavailable', joinTimeout);
  }

  /** @returns whether it serves; if not yet, it goes on trying */
  async #join(request: JoinRequest, wanted?: CertificateRole): Promise<boolean> {
    if (request.remoteAddrs.length === 0) {
      throw new SwarmError('invalid-argument', 'at least 1 RemoteAddr is required to join');
    }
    const remotes = request.remoteAddrs.map((remote) => {
      const { host, port } = parseHostPort(remote, '--join');
      return hostPort(host, port);
    });
    return this.#alone(async (signal) => {
      this.#remotes.startFrom(remotes);
      const security = await this.#enrolled(request, wanted, signal);
      this.#addresses.ask(request);
      const stay = this.#enter({ security, rootCa: undefined }, { ...request, isEntering: true });
      return this.#undoneIfFailed(this.#becomesReady(stay, signal), stay);
    });
  }

  async unlock(key: Buffer): Promise<void> {
    const signal = this.#signal;
    if (signal === undefined || this.#state() === 'inactive') {
      throw new SwarmError('unavailable', notMember);
    }
    if (!this.#isLocked) throw new SwarmError('already-exists', 'swarm is not locked');
    if (!(await this.#keyStore.unlock(key))) {
      throw new SwarmError('unauthenticated', 'swarm could not be unlocked: invalid key provided');
    }
    try {
      await this.#resumeUnlocked(signal);
    } catch (error) {
      const message = `swarm component could not be started: ${messageOf(error)}`;
      throw new SwarmError('internal', message, { cause: error });
    }
  }

  async leave({ isForced }: { readonly isForced: boolean }): Promise<void> {
    const stay = this.#stay;
    if (this.#isLocked) {
      await this.#leaveLocked({ isForced });
      return;
    }
    if (stay === undefined) throw new SwarmError('unavailable', notMember);
    if (stay.membership.isManager && !isForced) {
      throw new SwarmError(
        'unavailable',
        'You are attempting to leave the swarm on a node that is participating as a manager. Doing so may lose the consensus of your cluster. The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.',
      );
    }
    await this.#leave(stay);
  }

  /** One change of membership at a time, and only out of a swarm. */
  async #alone<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = this.#signal;
    const isMember = this.#stay !== undefined || this.#isLocked;
    if (isMember || this.#isBusy || signal === undefined) {
      throw new SwarmError('unavailable', alreadyMember);
    }
    this.#isBusy = true;
    try {
      return await act(signal);
    } finally {
      this.#isBusy = false;
    }
  }

  async #enrolled(
    { joinToken: token, availability }: JoinRequest,
    wanted: CertificateRole | undefined,
    signal: AbortSignal,
  ): Promise<LoadedIdentity['security']> {
    const deps = { ...this.#deps, connect: this.#remotes.connectAny, keyStore: this.#keyStore };
    try {
      return await enroll(deps, { token, availability, wanted }, signal);
    } catch (error) {
      this.#deps.stateDir.wipe();
      throw error;
    }
  }

  async #resume(identity: LoadedIdentity): Promise<Stay> {
    const isManager = identity.security.current.role === 'swarm-manager';
    // What is wrong with them is told before anything begins.
    if (isManager) await this.#workOutAddresses();
    if (this.#goesOnAlone) {
      if (!isManager) throw new SwarmError('unavailable', notManager.worker);
      const outcome = await goOnAlone({ ...this.#deps, keyStore: this.#keyStore });
      this.#goesOnAlone = false;
      this.#deps.log.warn(outcome ?? {}, 'this manager is the only one of its swarm');
    }
    return this.#enter(identity, { availability: 'ACTIVE', isEntering: false });
  }

  /**
   * Has this manager go on without all others: where it is, unless the request says otherwise. A swarm
   * that has a majority needs no such thing, and would be two afterwards.
   */
  async #beginAnew(request: InitRequest): Promise<string> {
    const { signal, before } = { signal: this.#signal, before: this.#stay };
    const { known } = this.#remotes;
    checkNewBeginning({ isLocked: this.#isLocked, membership: before?.membership, known });
    if (before === undefined || signal === undefined || this.#isBusy) {
      throw new SwarmError('unavailable', notMember);
    }
    const old = this.#addresses.asked;
    const asked = unlessToldOtherwise(old, request);
    clusterAddresses(asked, hostInterfaces());
    this.#isBusy = true;
    try {
      await this.#end(before);
      this.#remotes.try(known.map(({ addr }) => addr));
      await this.#comeBackAlone(asked, old, signal);
      return before.membership.nodeId;
    } finally {
      this.#isBusy = false;
    }
  }

  #hasGoneOnAlone(): boolean {
    return !this.#goesOnAlone;
  }

  /** What cannot go on alone goes on as it was. */
  async #comeBackAlone(
    asked: AskedAddresses,
    old: AskedAddresses,
    signal: AbortSignal,
  ): Promise<void> {
    const identity = await loadIdentity({ ...this.#deps, keyStore: this.#keyStore });
    assert(identity !== undefined, 'who was in a swarm has an identity');
    this.#goesOnAlone = true;
    this.#addresses.ask(asked);
    try {
      const stay = await this.#resume(identity);
      await this.#becomesReady(stay, signal);
    } catch (error) {
      if (this.#hasGoneOnAlone()) throw error;
      this.#goesOnAlone = false;
      this.#addresses.ask(old);
      await this.#resume(identity);
      throw error;
    }
  }

  async #workOutAddresses(): Promise<ClusterAddresses> {
    return this.#addresses.workOut(this.#remotes.known[0]?.addr);
  }

  async #resumeUnlocked(signal: AbortSignal): Promise<void> {
    const identity = await loadIdentity({ ...this.#deps, keyStore: this.#keyStore });
    // Meanwhile somebody else may have unlocked it, or made it leave.
    if (!this.#isLocked || identity === undefined) return;
    const stay = await this.#resume(identity);
    this.#isLocked = false;
    await this.#becomesReady(stay, signal);
  }

  #enter(
    identity: LoadedIdentity,
    { availability, isEntering }: Pick<MembershipConfig, 'availability' | 'isEntering'>,
  ): Stay {
    this.#security = identity.security;
    this.#remember();
    const membership = new Membership(
      {
        ...this.#deps,
        keyStore: this.#keyStore,
        remotes: this.#remotes,
        hostname: this.#config.hostname,
        raftTickMs: this.#config.raftTickMs,
      },
      identity,
      { addresses: async () => this.#workOutAddresses(), availability, isEntering },
    );
    const life = childOf(this.#signal ?? AbortSignal.abort());
    const ended = membership.run(life.signal);
    ended.catch((error: unknown) => {
      // Whoever waits for it to found or join hears of it, and undoes it.
      if (life.signal.aborted || this.#isBusy) return;
      this.#failure = { error };
      this.#changed.publish('changed');
    });
    const stay = { membership, life, ended };
    this.#stay = stay;
    return stay;
  }

  /** @returns whether it serves before the wait is over */
  async #becomesReady({ membership }: Stay, signal: AbortSignal): Promise<boolean> {
    return firstOf(
      signal,
      async (inner) => orAborted(membership.ready, inner).then(() => true),
      async (inner) => this.#deps.clock.sleep(readyWaitMs, inner).then(() => false),
    );
  }

  /** A swarm that could not be founded or joined leaves nothing behind. */
  async #undoneIfFailed<T>(started: Promise<T>, stay: Stay): Promise<T> {
    try {
      return await started;
    } catch (error) {
      if (this.#signal?.aborted === true) throw error;
      await this.#end(stay);
      this.#deps.stateDir.wipe();
      throw error;
    }
  }

  async #leave(stay: Stay): Promise<void> {
    stay.membership.leaves();
    await this.#end(stay);
    await this.#forget(stay.membership.nodeId);
  }

  /** Its certificate says who it is, and is not sealed. */
  async #leaveLocked({ isForced }: { readonly isForced: boolean }): Promise<void> {
    if (!isForced) throw new SwarmError('unavailable', notManager.locked);
    this.#isLocked = false;
    this.#isBusy = true;
    try {
      await this.#forget(await this.#keyStore.nodeId());
    } finally {
      this.#isBusy = false;
    }
  }

  /** Stops and removes every container of a node that does not run any more, and its state. */
  async #forget(nodeId: string): Promise<void> {
    const { stateDir, log } = this.#deps;
    const own = { ...this.#deps, log: log.child({ 'node.id': nodeId }) };
    const within = AbortSignal.timeout(leaveWaitMs);
    await removeAllTasks(own, { nodeId, statePath: stateDir.path }, within).catch(
      (error: unknown) => {
        own.log.warn({ err: error }, 'some containers of this node may be left');
      },
    );
    stateDir.wipe();
    own.log.info('left the swarm');
  }

  async #end(stay: Stay): Promise<void> {
    stay.life.abort(new SwarmError('cancelled', 'this node leaves the swarm'));
    await stay.ended.catch((error: unknown) => {
      this.#deps.log.debug({ reason: messageOf(error) }, 'the member has ended');
    });
    stay.life[Symbol.dispose]();
    this.#stay = undefined;
    this.#security = undefined;
    this.#addresses.forget();
    this.#remotes.startFrom([]);
  }

  #state(): LocalNodeState {
    if (this.#isLocked) return 'locked';
    if (this.#stay === undefined) return this.#isBusy ? 'pending' : 'inactive';
    return this.#stay.membership.isReady ? 'active' : 'pending';
  }

  #remember(): void {
    this.#deps.stateDir.writeState({
      ...this.#addresses.asked,
      managers: this.#remotes.known,
    });
  }
}

import type { CertificateRole, Node as NodeObject } from '../../api/index.ts';
import { type KeyStore, type LoadedIdentity, Renewal } from '../../ca/index.ts';
import { grpcNetwork, levelDisk, Manager } from '../../manager/index.ts';
import {
  type Clock,
  firstOf,
  type Log,
  orAborted,
  type Random,
  runTogether,
  SwarmError,
} from '../../runtime/index.ts';
import { type Executor, runAgent } from '../../worker/index.ts';
import type { NodeSpecAvailability } from '../../api/gen/types.ts';
import type { ClusterAddresses } from './addresses.ts';
import { followedRole } from './followed-role.ts';
import { OwnManager } from './own-manager.ts';
import { withWaysOut } from './recover.ts';
import type { Remotes } from './remotes.ts';
import type { StateDir } from './state-dir.ts';

/** An agent waits no longer for the manager of its own node: its tasks must go on. */
const ownManagerMs = 5_000;

export interface MembershipDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly stateDir: StateDir;
  readonly keyStore: KeyStore;
  readonly executor: Executor;
  readonly remotes: Remotes;
  readonly hostname: string;
  /** A tick of Raft, in milliseconds. */
  readonly raftTickMs: number;
}

/** What a node brings to its stay in a swarm. */
export interface MembershipConfig {
  /**
   * Where this node's manager listens and is found: worked out when it becomes one.
   *
   * @throws SwarmError invalid-argument, in Docker's words
   */
  readonly addresses: () => Promise<ClusterAddresses>;
  /** Whether the first manager of a new swarm takes tasks. */
  readonly availability: NodeSpecAvailability;
  /** Whether somebody waits for it to found or join; otherwise it comes back. */
  readonly isEntering: boolean;
}

/**
 * This node as a member of one swarm, from the identity it got to the day it leaves: always an
 * agent, and a manager while its certificate says so.
 */
export class Membership {
  readonly #deps: MembershipDeps;
  readonly #identity: LoadedIdentity;
  readonly #config: MembershipConfig;
  readonly #log: Log;
  readonly #renewal: Renewal;
  readonly #ownManager: OwnManager<Manager>;
  #manager: Manager | undefined;
  /** The role that a renewal was last asked for. */
  #expectedRole: CertificateRole | undefined;
  #isFounded = false;
  #isRegistered = false;
  #wasReady = false;
  #isLeaving = false;
  #error = '';
  #settled: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  /** Resolves once the node serves: its agent has a session, and its manager answers. */
  readonly ready: Promise<void>;
  /** Resolves once this node's manager serves, or it is clear that there is none for now. */
  readonly #managerDecided: Promise<void>;
  #decided: () => void = () => undefined;

  constructor(deps: MembershipDeps, identity: LoadedIdentity, config: MembershipConfig) {
    this.#deps = deps;
    this.#identity = identity;
    this.#config = config;
    this.#log = deps.log.child({ 'node.id': this.nodeId });
    const { security } = identity;
    const { stateDir, remotes } = deps;
    this.#renewal = new Renewal({ ...deps, security, connect: remotes.connectAny });
    this.#ownManager = new OwnManager({
      ...deps,
      log: this.#log.child({ module: 'manager' }),
      security,
      renewal: this.#renewal,
      managerLog: stateDir.managerLog,
      open: async () => {
        try {
          return await this.#openManager();
        } catch (error) {
          throw withWaysOut(error, stateDir);
        }
      },
      changed: (manager) => {
        this.#manager = manager;
        remotes.preferOwn(manager && stateDir.controlSocket);
        this.#decided();
        this.#settle();
      },
    });
    this.ready = new Promise((resolve, reject) => {
      this.#settled = { resolve, reject };
    });
    this.#managerDecided = new Promise((resolve) => {
      this.#decided = resolve;
    });
    this.ready.catch(() => undefined); // Whoever waits for it hears of it; nobody has to.
  }

  get nodeId(): string {
    return this.#identity.security.current.nodeId;
  }

  get isManager(): boolean {
    return this.#identity.security.current.role === 'swarm-manager';
  }

  /** This node's manager, once it answers. */
  get manager(): Manager | undefined {
    return this.#manager;
  }

  /** Whether it has come to serve. A manager that comes or goes later does not change that. */
  get isReady(): boolean {
    return this.#wasReady;
  }

  /** Why it is not in touch with the swarm's managers, or not one of them; empty while it is. */
  get error(): string {
    return this.#error || this.#ownManager.error;
  }

  /** Its end, when it comes, is for good: its agent says so to the managers. */
  leaves(): void {
    this.#isLeaving = true;
  }

  /** Runs until the signal aborts. Containers are left as they are. */
  async run(signal: AbortSignal): Promise<void> {
    const entry = this.#config.isEntering ? 'first' : 'later';
    try {
      await runTogether(signal, [
        async (inner) => this.#renewal.run(inner),
        async (inner) => this.#ownManager.run(entry, inner),
        async (inner) => this.#runAgent(inner),
      ]);
    } catch (error) {
      this.#settled?.reject(error);
      throw error;
    } finally {
      this.#settled?.reject(new SwarmError('unavailable', 'this node left the swarm'));
    }
  }

  async #openManager(): Promise<Manager> {
    const { stateDir, remotes, keyStore, clock, log } = this.#deps;
    const { security, rootCa } = this.#identity;
    const { addresses, availability } = this.#config;
    const { listen, advertise } = await addresses();
    const { managerLog, controlSocket } = stateDir;
    // Only the first of a swarm's managers founds it, and only once.
    const founder = this.#isFounded ? undefined : rootCa;
    const isWritten = async (): Promise<void> => {
      this.#isFounded = true;
      await keyStore.forgetRootKey();
    };
    const disk = levelDisk(
      managerLog.path,
      {
        logSecrets: async () => keyStore.logSecrets(),
        updateLogSecrets: async (change) => keyStore.updateLogSecrets(change),
        reseal: async (kek) => {
          const resealing = await keyStore.reseal(kek);
          // What lay open on the disk is to be of no use: the node's key like that of its log.
          if (resealing === 'sealed') this.#renewal.renewNow();
          return resealing;
        },
      },
      { log: log.child({ module: 'raft' }), outsideWitness: managerLog.outsideWitness },
    );
    return Manager.open({
      ...this.#deps,
      security,
      founding: founder && { rootCa: founder, availability, isWritten },
      // Only who knows another manager can be let in.
      join:
        founder !== undefined || !remotes.hasOthers
          ? undefined
          : { connect: () => remotes.connectOthers() },
      logs: disk.logs,
      seal: disk.seal,
      network: grpcNetwork({
        clock,
        log: log.child({ module: 'grpc' }),
        security,
        listen,
        controlSocket,
      }),
      advertise,
      pace: { tickMs: this.#deps.raftTickMs },
      hints: remotes.known.filter(({ nodeId }) => nodeId !== this.nodeId).map(({ addr }) => addr),
      leftBehind: managerLog.leftBehind,
    });
  }

  async #runAgent(signal: AbortSignal): Promise<void> {
    const { security } = this.#identity;
    if (this.isManager) await this.#whileStarting(signal);
    using changes = security.watch();
    await runAgent(
      {
        ...this.#deps,
        log: this.#log.child({ module: 'agent' }),
        managers: this.#deps.remotes,
        facts: {
          hostname: this.#deps.hostname,
          tlsInfo: () => security.current.tlsInfo,
          tlsChanged: async (inner) => {
            await changes.changed(inner);
            changes.drain();
          },
        },
        isLeaving: () => this.#isLeaving,
        observer: {
          nodeChanged: (node) => {
            this.#follow(node);
          },
          rootCaChanged: (pem) => {
            this.#trust(pem);
          },
          sessionOpened: () => {
            this.#isRegistered = true;
            this.#error = '';
            this.#settle();
          },
          sessionClosed: (error) => {
            this.#error = error instanceof Error ? error.message : '';
          },
        },
      },
      { nodeId: this.nodeId, statePath: this.#deps.stateDir.path },
      signal,
    );
  }

  /** Gives this node's own manager a moment, so that its agent finds it there. */
  async #whileStarting(signal: AbortSignal): Promise<void> {
    await firstOf(
      signal,
      async (inner) => this.#deps.clock.sleep(ownManagerMs, inner),
      async (inner) => orAborted(this.#managerDecided, inner),
    );
  }

  /** The swarm wants a fresh certificate of this node, or has given it another role. */
  #follow(node: NodeObject): void {
    if (node.certificate?.status?.state === 'ROTATE') this.#renewal.renewNow();
    const role = followedRole(node, this.#identity.security.current.role, this.#expectedRole);
    if (role === undefined) return;
    this.#expectedRole = role;
    this.#renewal.renewNow(role);
  }

  #trust(rootCaPem: string): void {
    const { security } = this.#identity;
    if (rootCaPem === security.current.rootCaPem) return;
    try {
      security.replaceRootCa(rootCaPem);
    } catch (error) {
      this.#log.warn({ err: error }, 'the managers trust a root that this node cannot follow');
      return;
    }
    this.#deps.keyStore.saveRootCa(rootCaPem).catch((error: unknown) => {
      this.#log.error({ err: error }, 'the new root was not written');
    });
  }

  #settle(): void {
    if (!this.#isRegistered || (this.isManager && this.#manager === undefined)) return;
    this.#wasReady = true;
    this.#settled?.resolve();
  }
}

import { CryptoRandom } from '../../src/runtime/index.ts';
import type { Node } from '../../src/api/index.ts';
import { type AgentConfig, runAgent } from '../../src/worker/index.ts';
import { type Behaviour, FakeExecutor } from './fake-executor.ts';
import { FakeManager, FakeManagers } from './fake-manager.ts';
import { MemoryTaskStore } from './memory-task-store.ts';
import { silentLog } from './silent-log.ts';
import { VirtualClock } from './virtual-clock.ts';

/** One node with its Engine and its disk, and the managers it may reach. */
export class AgentWorld {
  readonly clock = new VirtualClock();
  readonly executor: FakeExecutor;
  readonly managers: readonly FakeManager[];
  readonly known: FakeManagers;
  store = new MemoryTaskStore();
  readonly config: AgentConfig = { nodeId: 'node', statePath: '/nowhere' };
  readonly nodes: Node[] = [];
  readonly roots: string[] = [];
  readonly sessions: string[] = [];
  /** Whether the node leaves the swarm when its agent is stopped. */
  isLeaving = false;
  tlsInfo = { trustRoot: Buffer.from('root 1') };

  constructor(
    behaviours: Readonly<Record<string, Behaviour>> = {},
    managers: readonly FakeManager[] = [new FakeManager()],
  ) {
    this.executor = new FakeExecutor(this.clock, behaviours);
    this.managers = managers;
    this.known = new FakeManagers(...managers);
  }

  get manager(): FakeManager {
    const [first] = this.managers;
    if (first === undefined) throw new Error('this world has no manager');
    return first;
  }

  /** Starts the agent. */
  start(): RunningAgent {
    const life = new AbortController();
    const { clock, executor, store } = this;
    const ended = runAgent(
      {
        clock,
        random: new CryptoRandom(),
        log: silentLog,
        managers: this.known,
        executor,
        store,
        isLeaving: () => this.isLeaving,
        observer: {
          nodeChanged: (node) => this.nodes.push(node),
          rootCaChanged: (pem) => this.roots.push(pem),
          sessionOpened: ({ sessionId }) => this.sessions.push(`opened ${sessionId}`),
          sessionClosed: () => this.sessions.push('closed'),
        },
        facts: {
          tlsInfo: () => this.tlsInfo,
          tlsChanged: async (signal) => clock.sleep(Number.MAX_SAFE_INTEGER, signal),
        },
      },
      this.config,
      life.signal,
    );
    let isRunning = true;
    const over = ended.finally(() => (isRunning = false));
    over.catch(() => undefined);
    return {
      isRunning: () => isRunning,
      stop: async () => {
        life.abort();
        await over;
      },
    };
  }
}

export interface RunningAgent {
  isRunning(): boolean;
  /** Stops the agent, as a daemon does that ends. Rejects if the agent broke. */
  stop(): Promise<void>;
}

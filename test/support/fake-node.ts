import { localClient, type RpcClient, type ServiceHandlers } from '../../src/api/index.ts';
import type {
  InitRequest,
  JoinRequest,
  NodeControl,
  NodeInfo,
} from '../../src/manager/http/node-control.ts';
import { SwarmError } from '../../src/runtime/index.ts';

const inactive: NodeInfo = {
  state: 'inactive',
  hostname: 'host-1',
  nodeId: '',
  nodeAddr: '',
  isManager: false,
  error: '',
  remoteManagers: [],
};

const activeManager: NodeInfo = {
  state: 'active',
  hostname: 'host-1',
  nodeId: 'node-1',
  nodeAddr: '10.0.0.1',
  isManager: true,
  error: '',
  remoteManagers: [{ nodeId: 'node-1', addr: '10.0.0.1:2377' }],
};

/** A node that is whatever a test says, and keeps what it was asked to do. */
export class FakeNode implements NodeControl {
  readonly requests: (
    | { readonly kind: 'init'; readonly request: InitRequest }
    | { readonly kind: 'join'; readonly request: JoinRequest }
    | { readonly kind: 'leave'; readonly isForced: boolean }
  )[] = [];
  /** What opens it while it is locked. */
  unlockKey = Buffer.alloc(32);
  #info: NodeInfo = activeManager;
  readonly #client: RpcClient;

  constructor(handlers: ServiceHandlers) {
    this.#client = localClient(handlers, { kind: 'anyone', remoteIp: '127.0.0.1' });
  }

  /** From now on it is this. */
  is(change: Partial<NodeInfo>): void {
    this.#info = { ...this.#info, ...change };
  }

  isInactive(): void {
    this.#info = inactive;
  }

  info(): NodeInfo {
    return this.#info;
  }

  managers(): RpcClient {
    if (!this.#info.isManager) {
      throw new SwarmError('unavailable', 'This node is not a swarm manager.');
    }
    return this.#client;
  }

  async init(request: InitRequest): Promise<string> {
    this.requests.push({ kind: 'init', request });
    this.#info = activeManager;
    return Promise.resolve(activeManager.nodeId);
  }

  async join(request: JoinRequest): Promise<void> {
    this.requests.push({ kind: 'join', request });
    return Promise.resolve();
  }

  async unlock(key: Buffer): Promise<void> {
    const { state } = this.#info;
    if (state === 'inactive')
      throw new SwarmError('unavailable', 'This node is not part of a swarm');
    if (state !== 'locked') throw new SwarmError('already-exists', 'swarm is not locked');
    if (!key.equals(this.unlockKey)) {
      const message = 'swarm could not be unlocked: invalid key provided';
      throw new SwarmError('unauthenticated', message);
    }
    this.#info = activeManager;
    return Promise.resolve();
  }

  async leave({ isForced }: { readonly isForced: boolean }): Promise<void> {
    this.requests.push({ kind: 'leave', isForced });
    return Promise.resolve();
  }
}

import {
  type Handlers,
  localClient,
  type MethodName,
  type RequestInput,
  type Response,
} from '../../src/api/index.ts';
import { createControl } from '../../src/manager/control/control.ts';
import type { RaftMember } from '../../src/manager/control/deps.ts';
import { isTaskDirty } from '../../src/manager/orchestrator/slots.ts';
import type { Store } from '../../src/manager/store/store.ts';
import type { Transaction } from '../../src/manager/store/view.ts';
import { CryptoRandom } from '../../src/runtime/index.ts';
import { aCluster } from './builders.ts';
import { aStore } from './immediate-log.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A control API over a store in memory, called as a manager calls it. */
export interface ControlClient {
  readonly store: Store;
  readonly clock: VirtualClock;
  /** What Raft says of its members. Tests fill it. */
  readonly members: RaftMember[];
  readonly control: Handlers<'Control'>;
  call<M extends MethodName<'Control', 'unary'>>(
    method: M,
    request: RequestInput<'Control', M>,
  ): Promise<Response<'Control', M>>;
  /** Writes past the API, as the leader's loops do. */
  write(change: (tx: Transaction) => void): Promise<void>;
}

/** A swarm with its cluster object and nothing else. */
export async function aControlClient(): Promise<ControlClient> {
  const clock = new VirtualClock();
  const store = aStore(clock);
  const members: RaftMember[] = [];
  const control = createControl({
    store,
    clock,
    random: new CryptoRandom(),
    raft: { members: () => members },
    isDirty: isTaskDirty,
  });
  const client = localClient({ Control: control }, { kind: 'anyone', remoteIp: '127.0.0.1' });
  await store.update((tx) => {
    tx.create('cluster', aCluster());
  });
  return {
    store,
    clock,
    members,
    control,
    call: async (method, request) =>
      client.unary('Control', method, request, {
        signal: new AbortController().signal,
        deadlineMs: 1_000,
      }),
    write: async (change) => store.update(change),
  };
}

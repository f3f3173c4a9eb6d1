import { createHash } from 'node:crypto';
import { type Cluster, versionOf } from '../api/index.ts';
import type { Kek, LogSecrets } from '../ca/index.ts';
import type { LogKey, LogKeys } from '../raft/index.ts';
import {
  type Clock,
  firstOf,
  isSwarmError,
  type Log,
  promptTiming,
  type Random,
  runReconcileLoop,
} from '../runtime/index.ts';
import type { DiskSeal } from './ports.ts';
import { changesOf } from './store/events.ts';
import type { Store } from './store/store.ts';

/** How often a log is looked at that is on its way from one key to the next. */
const lookMs = 1_000;

interface AutolockDeps {
  readonly store: Pick<Store, 'view' | 'subscribe'>;
  readonly seal: DiskSeal;
  /** Has the log begin anew with a snapshot of what is applied, as soon as it can. */
  readonly compactLog: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * Seals this manager's disk with the unlock key that the cluster object has, and gives its log
 * another key when the one it has could be read by somebody before. It runs on every manager,
 * whether it leads or not. swarmkit manager/manager.go updateKEK
 */
export async function runAutolock(deps: AutolockDeps, signal: AbortSignal): Promise<void> {
  const { store, seal, clock, log } = deps;
  using changes = store.subscribe(changesOf('cluster'));
  let isUnderWay = false;
  await runReconcileLoop(
    { clock, timing: promptTiming },
    async (inner) => {
      await firstOf(
        inner,
        async (either) => changes.changed(either),
        ...(isUnderWay ? [async (either: AbortSignal) => clock.sleep(lookMs, either)] : []),
      );
      changes.drain();
    },
    async () => {
      const [cluster] = store.view((view) => view.find('cluster'));
      if (cluster === undefined) return; // Nothing is known of the swarm yet.
      try {
        const resealing = await seal.reseal(kekOf(cluster));
        if (resealing !== 'kept') log.info({ resealing }, 'the keys on this disk were sealed anew');
        isUnderWay = await rotateLogKey(deps);
      } catch (error) {
        if (!isSwarmError(error)) throw error;
        log.error({ err: error }, 'the keys on this disk were not sealed anew');
      }
    },
    signal,
  );
}

/** What a swarm's managers seal their disks with. */
function kekOf(cluster: Cluster): Kek {
  const found = cluster.unlockKeys.find(({ subsystem }) => subsystem === 'swarm-manager');
  return { key: found?.key, version: versionOf(cluster) };
}

/** The keys of a log, by its secrets. A pending one seals what is written from now on. */
export function logKeysOf({ current, pending }: Pick<LogSecrets, 'current' | 'pending'>): LogKeys {
  return pending === undefined
    ? { current: keyOf(current), older: [] }
    : { current: keyOf(pending), older: [keyOf(current)] };
}

/** A key is named for its secret, which cannot be found by the name. */
function keyOf(secret: Buffer): LogKey {
  const id = createHash('sha256').update('swarmd log key ').update(secret).digest('hex');
  return { id: id.slice(0, 16), secret };
}

/**
 * Goes on with giving the log another key, if it is to have one. The steps, after each of which the
 * process may die: the next secret is on the disk beside the present one; what is written from now
 * on is sealed with it; a snapshot has passed everything before; the old secret is gone.
 *
 * @returns whether it is to be called again
 */
async function rotateLogKey({ seal, compactLog, random, log }: AutolockDeps): Promise<boolean> {
  const secrets = await seal.updateLogSecrets((present) => withNext(present, random));
  const { current, pending } = secrets;
  if (pending === undefined) return false;
  seal.rekey(logKeysOf(secrets));
  const inUse = await seal.keysInUse();
  if (inUse.has(keyOf(current).id)) {
    compactLog();
    return true;
  }
  const { needsRotation } = await seal.updateLogSecrets((present) => ({
    ...present,
    current: pending,
    pending: undefined,
  }));
  seal.rekey(logKeysOf({ current: pending, pending: undefined }));
  log.info({ 'key.id': keyOf(pending).id }, 'the log has another key');
  return needsRotation;
}

/** One rotation at a time: what is asked for meanwhile is done after it. */
const withNext = (secrets: LogSecrets, random: Random): LogSecrets =>
  secrets.needsRotation && secrets.pending === undefined
    ? { ...secrets, pending: random.bytes(secrets.current.length), needsRotation: false }
    : secrets;

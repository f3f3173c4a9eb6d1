import type { KeyStore } from '../ca/index.ts';
import { LevelLog } from '../raft/index.ts';
import { assert, type Log } from '../runtime/index.ts';
import { logKeysOf } from './autolock.ts';
import type { DiskSeal, LogStores } from './ports.ts';

/** A manager's disk: its log, and the seal on it. */
export interface ManagerDisk {
  readonly logs: LogStores;
  readonly seal: DiskSeal;
}

/**
 * The log in a directory of this node, sealed with secrets that its key store has.
 *
 * @param options where, outside of what is copied with the directory, a witness of it may lie
 */
export function levelDisk(
  directory: string,
  keys: Pick<KeyStore, 'logSecrets' | 'updateLogSecrets' | 'reseal'>,
  { log, outsideWitness }: { readonly log: Log; readonly outsideWitness?: string | undefined },
): ManagerDisk {
  let raftLog: LevelLog | undefined;
  const opened = (): LevelLog => {
    assert(raftLog !== undefined, 'a log is open while its manager runs');
    return raftLog;
  };
  return {
    logs: {
      exists: async () => LevelLog.exists(directory),
      create: async (identity) => {
        const logKeys = logKeysOf(await keys.logSecrets());
        raftLog = await LevelLog.create(directory, identity, logKeys, { outsideWitness });
        return raftLog;
      },
      open: async () => {
        const logKeys = logKeysOf(await keys.logSecrets());
        raftLog = await LevelLog.open(directory, logKeys, outsideWitness);
        if (raftLog.isRedone) log.info({}, 'the last batch of the raft log is from its sentinel');
        return raftLog;
      },
    },
    seal: {
      reseal: async (kek) => keys.reseal(kek),
      updateLogSecrets: async (change) => keys.updateLogSecrets(change),
      rekey: (logKeys) => {
        opened().rekey(logKeys);
      },
      keysInUse: async () => opened().keysInUse(),
    },
  };
}

export { type RaftDriverConfig, raftDefaults } from './config.ts';
export { RaftDriver } from './driver.ts';
export type { RaftDriverDeps, RaftMemberInfo, RaftStatus, StateMachine } from './ports.ts';
export type { Message, RaftId } from './core/types.ts';
export { isRemovedAnswer, memberRemoved } from './members/members.ts';
export { type LoneGroup, Replay } from './replay.ts';
export { DamagedLog, diagnose, type Diagnosis } from './storage/diagnosis.ts';
export {
  Irrecoverable,
  recoverLog,
  replaceLog,
  setAsideLog,
  verifiedOf,
} from './storage/recovery.ts';
export type { LogKey, LogKeys } from './storage/log-keys.ts';
export type { LogIdentity, LogStore, StoredLog } from './storage/log-store.ts';
export { LevelLog } from './storage/level-log.ts';
export { assembled } from './transport/snapshot-parts.ts';
export { Transport } from './transport/transport.ts';
export { messageFromWire, messageToWire, newRaftId, raftIdFrom, type RaftMember } from './wire.ts';

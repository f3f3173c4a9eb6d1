export {
  DamagedLog,
  diagnose,
  type Diagnosis,
  Irrecoverable,
  type RaftMember,
  recoverLog,
  replaceLog,
  setAsideLog,
  verifiedOf,
} from '../raft/index.ts';
export { logKeysOf } from './autolock.ts';
export { grpcNetwork } from './grpc/network.ts';
export { type EngineEndpoint } from './http/local-engine.ts';
export type {
  InitRequest,
  JoinRequest,
  LocalNodeState,
  NodeControl,
  NodeInfo,
} from './http/node-control.ts';
export { serveEngineApi } from './http/server.ts';
export { levelDisk } from './level-disk.ts';
export { Manager } from './manager.ts';
export { rebuild } from './membership/rebuild.ts';

export { restartPolicyOf, updateConfigOf, withDefaults } from './defaults.ts';
export { connectRpc, type RpcTarget } from './grpc-client.ts';
export { localClient, type ServiceHandlers } from './local-client.ts';
export {
  type Cluster,
  type ClusterSpec,
  type Config,
  type ContainerSpec,
  count,
  type Frozen,
  hostnameOf,
  isEqual,
  type Network,
  type Node,
  type NodeDescription,
  type NodeSpec,
  type ObjectKind,
  objectKinds,
  type ObjectOfKind,
  type Secret,
  type Service,
  serviceName,
  type ServiceSpec,
  type StoreObject,
  type Task,
  taskName,
  type TaskSpec,
  type TaskStatus,
  versionOf,
} from './objects.ts';
export {
  addResources,
  amountsOf,
  claimGeneric,
  fits,
  genericAmounts,
  type GenericResource,
  lackOf,
  noResources,
  type ResourceAmounts,
  subtractResources,
} from './resources.ts';
export {
  type AgentWord,
  agentWordName,
  managerAddressName,
  type CallContext,
  type Caller,
  type CallOptions,
  type CertificateRole,
  ConnectionClosed,
  type Handlers,
  type MethodName,
  type RequestInput,
  type Response,
  type RpcClient,
  type RpcConnection,
  staleName,
} from './rpc.ts';
export { type Access, accessOf, codecOf, serviceDefinition, type ServiceName } from './schema.ts';
export { fromStatus, goErrorText, toStatus } from './status.ts';
export { compareStates, isTerminal, mayAdvance, stateNumber } from './task-state.ts';
export { expandContainerSpec, expandPayload, type TemplateNode } from './template.ts';
export { durationFromMs, durationFromNanos, nanosOf, timestampFromMs, toMs } from './time.ts';

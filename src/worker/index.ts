export { type AgentConfig, removeAllTasks, runAgent } from './agent.ts';
export { DockerEngine } from './docker/engine.ts';
export { DockerExecutor } from './docker/executor.ts';
export {
  type Controller,
  type Executor,
  type LogChunk,
  type LogOptions,
  type TaskDependencies,
  TaskExit,
  TemporaryFailure,
} from './execution.ts';
export { type ManagerConnection, type Managers, withWayOn } from './session.ts';
export type { AssignmentRecord, TaskRecord, TaskStore } from './task-store.ts';

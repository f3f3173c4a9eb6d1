import type { NetworkAttachment, Task, TaskStatus } from '../../../api/gen/types.ts';
import type { JsonObject } from '../json.ts';
import { networkObjectToEngine } from './network.ts';
import { portsToEngine } from './service.ts';
import { annotationsToEngine, count, list, metaToEngine, text, time } from './shapes.ts';
import { genericsToEngine, taskSpecToEngine } from './task-spec.ts';

/** A task, as the Engine API shows it. Engine API 1.47 `Task` */
export function taskToEngine(task: Task): JsonObject {
  return {
    ID: task.id,
    ...metaToEngine(task.meta),
    ...annotationsToEngine(task.annotations),
    Spec: task.spec === null ? { ForceUpdate: 0 } : taskSpecToEngine(task.spec),
    ServiceID: text(task.serviceId),
    Slot: count(slotShown(task)),
    NodeID: text(task.nodeId),
    Status: statusToEngine(task.status),
    DesiredState: task.desiredState.toLowerCase(),
    NetworksAttachments: list(task.networks.map(attachmentToEngine)),
    GenericResources: genericsToEngine(task.assignedGenericResources),
    JobIteration:
      task.jobIteration === null ? undefined : { Index: count(task.jobIteration.index) },
    Volumes: list(
      task.volumes.map(({ id, source, target }) => ({ ID: id, Source: source, Target: target })),
    ),
  };
}

/**
 * The docker CLI counts the tasks of a replicated job from 0, and those of other services from 1;
 * here all are numbered from 1. docker/cli cli/command/service/progress
 */
const slotShown = ({ slot, jobIteration }: Task): string =>
  jobIteration === null || slot === '0' ? slot : String(Number(slot) - 1);

function statusToEngine(status: TaskStatus | null): JsonObject {
  const container = status?.container ?? null;
  return {
    Timestamp: time(status?.timestamp),
    State: status?.state.toLowerCase(),
    Message: text(status?.message ?? ''),
    Err: text(status?.err ?? ''),
    ContainerStatus:
      container === null
        ? undefined
        : {
            ContainerID: container.containerId,
            PID: container.pid,
            ExitCode: container.exitCode,
          },
    PortStatus: { Ports: portsToEngine(status?.portStatus?.ports ?? []) },
  };
}

const attachmentToEngine = ({ network, addresses }: NetworkAttachment): JsonObject => ({
  Network: network === null ? {} : networkObjectToEngine(network),
  Addresses: list(addresses),
});

import { compareStates, isTerminal, type Service, type Task } from '../../../src/api/index.ts';
import type { ReadView } from '../../../src/manager/store/view.ts';
import type { Configuration } from './raft/configurations.ts';
import type { AgentHost } from '../world/agent-host.ts';
import type { ManagerHost } from '../world/manager-host.ts';

/**
 * Whether the swarm is as it is meant to be: every replica that is wanted runs, nothing else does,
 * and each agent knows exactly what the managers would have it know.
 *
 * @returns what is not so yet; nothing, if all is well
 */
export function whatIsMissing(view: ReadView, agents: readonly AgentHost[]): string | undefined {
  const byNode = new Map(agents.map((agent) => [agent.host.nodeId, agent]));
  const wanted = new Set<string>();
  for (const service of view.find('service')) {
    const tasks = view.find('task', { by: 'service', serviceId: service.id });
    const running = tasks.filter(({ desiredState }) => desiredState === 'RUNNING');
    const held = running.filter((task) => isHeld(task, view));
    if (service.updateStatus?.state === 'UPDATING' && held.length === 0) {
      return `${nameOf(service)} is being updated`;
    }
    const missing = missingOf(service, running, view);
    if (missing !== undefined) return missing;
    for (const task of running) {
      if (held.includes(task)) continue;
      wanted.add(task.id);
      const difference = whatIsAmiss(task, view, byNode.get(task.nodeId));
      if (difference !== undefined) return `task ${task.id} of ${nameOf(service)} ${difference}`;
    }
  }
  for (const agent of agents) {
    const unwanted = agent.engine.running.find(({ task }) => !wanted.has(task.id));
    if (unwanted !== undefined) {
      return `task ${unwanted.task.id} runs on ${agent.host.nodeId}, and is not wanted`;
    }
    const difference = knowledgeGap(view, agent);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/** Whether it is known of all hosts that are gone for good: until then their tasks are waited for. */
export function whoIsNotMissed(view: ReadView, lost: readonly AgentHost[]): string | undefined {
  const [one] = lost.filter(({ host }) => {
    const { state, message } = view.get('node', host.nodeId)?.status ?? { state: 'DOWN' };
    // One that was let in, and that no leader has heard or waited for, has never been there.
    const isNew = state === 'UNKNOWN' && message === '';
    return state !== 'DOWN' && !isNew;
  });
  return one && `${one.host.nodeId} is gone, and not missed`;
}

/** Whether each agent knows where all managers are, and nobody else. */
export function whoHasNotHeard(
  agents: readonly AgentHost[],
  managers: readonly string[],
): string | undefined {
  const all = managers.toSorted().join(' ');
  const one = agents.find(({ addresses }) => addresses.toSorted().join(' ') !== all);
  return one && `${one.host.nodeId} takes ${one.addresses.join(' ')} for the managers, not ${all}`;
}

/** So long may one step of an update take, with an Engine that is slow and a task that is watched. */
const updateStepMs = 3_000;

/** How long the updates under way may take: one that goes task by task needs its time for each. */
export function updatesMs(view: ReadView): number {
  const times = view
    .find('service')
    .filter(({ updateStatus }) =>
      ['UPDATING', 'ROLLBACK_STARTED'].includes(updateStatus?.state ?? ''),
    )
    .map(({ id, spec }) => {
      const tasks = view.find('task', { by: 'service', serviceId: id });
      const count = tasks.filter(({ desiredState }) => desiredState === 'RUNNING').length;
      const atOnce = Number(spec?.update?.parallelism ?? 1);
      return updateStepMs * (atOnce === 0 ? 1 : Math.ceil(count / atOnce));
    });
  return Math.max(0, ...times);
}

/** Whether the group of managers is what the nodes' roles say, and each has heard of it. */
export function whatIsAmissOfManagers(
  view: ReadView,
  managers: readonly ManagerHost[],
  { voters, learners, nodes }: Configuration,
): string | undefined {
  const [learner] = learners;
  if (learner !== undefined) return `member ${learner} has no vote`;
  const nobodys = [...nodes.values()].find((nodeId) => view.get('node', nodeId) === undefined);
  if (nobodys !== undefined) return `a member is node ${nobodys}, which was removed`;
  for (const { name, host, running } of managers) {
    const node = view.get('node', host.nodeId);
    const role = node?.spec?.desiredRole ?? 'WORKER';
    if (node?.role !== role) return `${name} is to be ${role}`;
    const isVoter = [...voters].some((id) => nodes.get(id) === host.nodeId);
    if (isVoter !== (role === 'MANAGER')) return `${name} is to be ${role}, and its vote says else`;
    if (isVoter !== (running !== undefined)) return `${name} runs what it should not`;
    if (running !== undefined && running.raft.status().leaderId === undefined) {
      return `${name} knows of no leader`;
    }
  }
  return undefined;
}

function whatIsAmiss(
  { id, status, nodeId }: Task,
  view: ReadView,
  agent: AgentHost | undefined,
): string | undefined {
  if (status?.state !== 'RUNNING') return `is ${status?.state ?? 'NEW'}`;
  const node = view.get('node', nodeId);
  // Its host is another node by now, which a rebuilt swarm may not have: it waits for the first one.
  if (agent === undefined && node?.status?.state === 'UNKNOWN') return undefined;
  const isDrained = node?.spec?.availability === 'DRAIN';
  if (isDrained) return `is on ${nodeId}, which is drained`;
  return agent?.engine.isRunning(id) === true ? undefined : `does not run on ${nodeId}`;
}

/** A global service's task that was not given out before its node was paused waits for as long. */
const isHeld = ({ slot, nodeId, status }: Task, view: ReadView): boolean =>
  slot === '0' &&
  compareStates(status?.state ?? 'NEW', 'ASSIGNED') < 0 &&
  view.get('node', nodeId)?.spec?.availability === 'PAUSE';

const nameOf = (service: Service): string => service.spec?.annotations?.name ?? service.id;

function missingOf(service: Service, running: readonly Task[], view: ReadView): string | undefined {
  if (service.spec?.mode === 'global') {
    const nodes = view
      .find('node')
      .filter(({ spec, status }) => spec?.availability === 'ACTIVE' && status?.state === 'READY');
    const without = nodes.find(({ id }) => !running.some(({ nodeId }) => nodeId === id));
    return without === undefined ? undefined : `${nameOf(service)} has no task on ${without.id}`;
  }
  const replicas = Number(service.spec?.replicated?.replicas ?? 0);
  const slots = new Set(running.map(({ slot }) => slot));
  if (running.length === replicas && slots.size === replicas) return undefined;
  return `${nameOf(service)} has ${running.length} of ${replicas} tasks, in ${slots.size} slots`;
}

/** Where what an agent knows differs from what the managers have for it. */
function knowledgeGap(view: ReadView, { host, disk }: AgentHost): string | undefined {
  const { nodeId } = host;
  const node = view.get('node', nodeId);
  if (node?.status?.state !== 'READY') return `node ${nodeId} is ${node?.status?.state ?? 'gone'}`;
  const sent = view.find('task', { by: 'node', nodeId }).filter(isSent);
  const stale = sent.find(
    (task) => !isUpToDate(disk.tasks.get(task.id), task) || !disk.isAssigned(task.id),
  );
  if (stale !== undefined) {
    const known = disk.tasks.get(stale.id)?.desiredState ?? 'nothing';
    return `${nodeId} knows task ${stale.id} as ${known}, not ${stale.desiredState}`;
  }
  for (const id of disk.tasks.keys()) {
    if (disk.isAssigned(id) && view.get('task', id) === undefined) {
      return `${nodeId} still holds task ${id}`;
    }
  }
  return undefined;
}

/** Of a task that has ended an agent may know more than a swarm that was rebuilt. */
const isUpToDate = (known: Task | undefined, { desiredState, status }: Task): boolean =>
  known !== undefined &&
  (known.desiredState === desiredState ||
    (isTerminal(status?.state ?? 'NEW') && compareStates(known.desiredState, desiredState) > 0));

const isSent = ({ status }: Task): boolean =>
  compareStates(status?.state ?? 'NEW', 'ASSIGNED') >= 0;

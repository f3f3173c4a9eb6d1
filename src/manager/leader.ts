import { runTogether } from '../runtime/index.ts';
import { runAllocator } from './allocator/allocator.ts';
import { runRootRotation } from './authority/root-rotation.ts';
import { runSigner } from './authority/signer.ts';
import type { Dispatcher } from './dispatcher/dispatcher.ts';
import type { LogBroker } from './log-broker.ts';
import { runGlobal } from './orchestrator/global.ts';
import { runJobs } from './orchestrator/jobs/jobs.ts';
import { type OrchestratorDeps, runReplicated } from './orchestrator/replicated.ts';
import { runDelayedStarts } from './orchestrator/restart.ts';
import { runUpdater } from './orchestrator/update/updater.ts';
import { runConstraintEnforcer } from './orchestrator/upkeep/constraint-enforcer.ts';
import { runTaskReaper } from './orchestrator/upkeep/task-reaper.ts';
import { runDeadManagers } from './roles/dead-managers.ts';
import { type RaftGroup, runRoleManager } from './roles/role-manager.ts';
import { runScheduling } from './scheduling.ts';

interface LeaderDeps extends OrchestratorDeps {
  readonly dispatcher: Dispatcher;
  readonly logBroker: LogBroker;
  readonly raft: RaftGroup;
}

/**
 * Everything a manager does only while it leads: the one list. It ends when the leadership does;
 * a loop that breaks ends it too.
 */
export async function runLeader(deps: LeaderDeps, signal: AbortSignal): Promise<void> {
  const module = (name: string): LeaderDeps => ({ ...deps, log: deps.log.child({ module: name }) });
  await runTogether(signal, [
    async (inner) => deps.dispatcher.run(inner),
    async (inner) => deps.logBroker.run(inner),
    async (inner) => runRoleManager(module('role-manager'), inner),
    async (inner) => runDeadManagers(module('role-manager'), inner),
    async (inner) => runSigner(module('signer'), inner),
    async (inner) => runRootRotation(module('root-rotation'), inner),
    async (inner) => runReplicated(module('replicated'), inner),
    async (inner) => runGlobal(module('global'), inner),
    async (inner) => runJobs(module('jobs'), inner),
    async (inner) => runUpdater(module('updater'), inner),
    async (inner) => runDelayedStarts(module('restart'), inner),
    async (inner) => runAllocator(module('allocator'), inner),
    async (inner) => runScheduling(module('scheduler'), inner),
    async (inner) => runConstraintEnforcer(module('constraint-enforcer'), inner),
    async (inner) => runTaskReaper(module('task-reaper'), inner),
  ]);
}

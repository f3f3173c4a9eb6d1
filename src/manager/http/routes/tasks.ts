import { type Api, type ApiCall, type Control, controlOf, json, type Reply } from '../api-call.ts';
import { compareVersions } from '../api-version.ts';
import { taskToEngine } from '../convert/task.ts';
import { taskQuery } from '../filters.ts';
import { logRequestOf, logStream } from '../logs.ts';
import { findNode, findService, findTask } from '../lookup.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { LogSelectorInput, TaskSpec } from '../../../api/gen/types.ts';

/** `GET /tasks`. Services and nodes may be named as a person names them; each must exist. */
export async function listTasks(call: ApiCall, { node }: Api): Promise<Reply> {
  const query = taskQuery(call.query.get('filters'));
  const control = controlOf(node, call.signal);
  const idsOf = async (
    names: readonly string[],
    find: (control: Control, name: string) => Promise<{ readonly id: string }>,
  ): Promise<string[]> => Promise.all(names.map(async (name) => (await find(control, name)).id));
  const [serviceIds, nodeIds] = await Promise.all([
    idsOf(query.services, findService),
    idsOf(query.nodes, findNode),
  ]);
  const { tasks } = await control('ListTasks', {
    filters: { ...query.filters, serviceIds, nodeIds },
  });
  return json(tasks.map(taskToEngine));
}

/** `GET /tasks/{id}` */
export async function inspectTask(call: ApiCall, { node }: Api): Promise<Reply> {
  return json(taskToEngine(await findTask(controlOf(node, call.signal), call.param('id'))));
}

/** `GET /tasks/{id}/logs` */
export async function taskLogs(call: ApiCall, api: Api): Promise<Reply> {
  const { id, spec } = await findTask(controlOf(api.node, call.signal), call.param('id'));
  return logs(call, api, { selector: { taskIds: [id] }, spec });
}

/** `GET /services/{id}/logs` */
export async function serviceLogs(call: ApiCall, api: Api): Promise<Reply> {
  const { id, spec } = await findService(controlOf(api.node, call.signal), call.param('id'));
  return logs(call, api, { selector: { serviceIds: [id] }, spec: spec?.task ?? null });
}

/** The output of a terminal is one raw stream; all else is multiplexed, and said so since 1.42. */
function logs(
  call: ApiCall,
  { node }: Api,
  of: { readonly selector: LogSelectorInput; readonly spec: TaskSpec | null },
): Reply {
  const request = logRequestOf(call);
  const container = of.spec?.container ?? null;
  if (container === null) {
    throw new SwarmError('invalid-argument', 'logs only supported on container tasks');
  }
  const isMultiplexed = !container.tty;
  const mayName = isMultiplexed && compareVersions(call.version, '1.42') >= 0;
  return {
    kind: 'stream',
    contentType: `application/vnd.docker.${mayName ? 'multiplexed' : 'raw'}-stream`,
    chunks: logStream(node.managers(), of.selector, request, {
      isMultiplexed,
      signal: call.signal,
    }),
  };
}

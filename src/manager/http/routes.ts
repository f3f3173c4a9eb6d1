import type { Api, ApiCall, Reply } from './api-call.ts';
import { SwarmError } from '../../runtime/index.ts';
import { compareVersions } from './api-version.ts';
import * as networks from './routes/networks.ts';
import * as nodes from './routes/nodes.ts';
import * as kept from './routes/secrets-configs.ts';
import * as services from './routes/services.ts';
import * as swarm from './routes/swarm.ts';
import * as system from './routes/system.ts';
import * as tasks from './routes/tasks.ts';

type Handler = (call: ApiCall, api: Api) => Promise<Reply>;

/** A path of the Engine API that this server answers itself. */
interface Route {
  readonly method: string;
  /** `/nodes/{id}`: a part in braces is any one part. */
  readonly pattern: string;
  /** The version of the API that brought it. */
  readonly since?: string;
  readonly handle: Handler;
}

/** The Engine API's part about the swarm, as one table. Everything else is the local Engine's. */
const routes: readonly Route[] = [
  { method: 'GET', pattern: '/_ping', handle: system.ping },
  { method: 'HEAD', pattern: '/_ping', handle: system.ping },
  { method: 'GET', pattern: '/version', handle: system.version },
  { method: 'GET', pattern: '/info', handle: system.info },

  { method: 'GET', pattern: '/swarm', handle: swarm.inspectSwarm },
  { method: 'POST', pattern: '/swarm/init', handle: swarm.initSwarm },
  { method: 'POST', pattern: '/swarm/join', handle: swarm.joinSwarm },
  { method: 'POST', pattern: '/swarm/leave', handle: swarm.leaveSwarm },
  { method: 'POST', pattern: '/swarm/update', handle: swarm.updateSwarm },
  { method: 'GET', pattern: '/swarm/unlockkey', handle: swarm.unlockKey },
  { method: 'POST', pattern: '/swarm/unlock', handle: swarm.unlockSwarm },

  { method: 'GET', pattern: '/nodes', handle: nodes.listNodes },
  { method: 'GET', pattern: '/nodes/{id}', handle: nodes.inspectNode },
  { method: 'DELETE', pattern: '/nodes/{id}', handle: nodes.removeNode },
  { method: 'POST', pattern: '/nodes/{id}/update', handle: nodes.updateNode },

  { method: 'GET', pattern: '/services', handle: services.listServices },
  { method: 'POST', pattern: '/services/create', handle: services.createService },
  { method: 'GET', pattern: '/services/{id}', handle: services.inspectService },
  { method: 'DELETE', pattern: '/services/{id}', handle: services.removeService },
  { method: 'POST', pattern: '/services/{id}/update', handle: services.updateService },
  { method: 'GET', pattern: '/services/{id}/logs', since: '1.29', handle: tasks.serviceLogs },

  { method: 'GET', pattern: '/tasks', handle: tasks.listTasks },
  { method: 'GET', pattern: '/tasks/{id}', handle: tasks.inspectTask },
  { method: 'GET', pattern: '/tasks/{id}/logs', since: '1.29', handle: tasks.taskLogs },

  { method: 'GET', pattern: '/secrets', since: '1.25', handle: kept.listSecrets },
  { method: 'POST', pattern: '/secrets/create', since: '1.25', handle: kept.createSecret },
  { method: 'GET', pattern: '/secrets/{id}', since: '1.25', handle: kept.inspectSecret },
  { method: 'DELETE', pattern: '/secrets/{id}', since: '1.25', handle: kept.removeSecret },
  { method: 'POST', pattern: '/secrets/{id}/update', since: '1.25', handle: kept.updateSecret },

  { method: 'GET', pattern: '/configs', since: '1.30', handle: kept.listConfigs },
  { method: 'POST', pattern: '/configs/create', since: '1.30', handle: kept.createConfig },
  { method: 'GET', pattern: '/configs/{id}', since: '1.30', handle: kept.inspectConfig },
  { method: 'DELETE', pattern: '/configs/{id}', since: '1.30', handle: kept.removeConfig },
  { method: 'POST', pattern: '/configs/{id}/update', since: '1.30', handle: kept.updateConfig },

  { method: 'GET', pattern: '/networks', handle: networks.listNetworks },
  { method: 'POST', pattern: '/networks/create', handle: networks.createNetwork },
  { method: 'GET', pattern: '/networks/{id}', handle: networks.inspectNetwork },
  { method: 'DELETE', pattern: '/networks/{id}', handle: networks.removeNetwork },
];

/** Paths of which the local Engine is never asked, for it belongs to no swarm of its own. */
const ownPaths = /^\/(?:swarm|nodes|services|tasks|secrets|configs)(?:\/|$)/u;

export interface MatchedRoute {
  readonly route: Route;
  /** The variable parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
}

const partsOf = (path: string): string[] => path.replace(/\/$/u, '').split('/');

function matchOne(route: Route, parts: readonly string[]): MatchedRoute | undefined {
  const wanted = partsOf(route.pattern);
  if (wanted.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, name] of wanted.entries()) {
    const part = parts[i] ?? '';
    if (name.startsWith('{') && part !== '') params[name.slice(1, -1)] = part;
    else if (name !== part) return undefined;
  }
  return { route, params };
}

/**
 * Which route answers a request.
 *
 * @param path without version and query
 * @returns `undefined` where the local Engine answers
 * @throws SwarmError not-found `page not found`; invalid-argument, for a version older than the
 *   route
 */
export function matchRoute(
  method: string,
  path: string,
  version: string,
): MatchedRoute | undefined {
  const parts = partsOf(path).map(decoded);
  const match = routes
    .filter((route) => route.method === method)
    .map((route) => matchOne(route, parts))
    .find((found) => found !== undefined);
  if (match === undefined) {
    if (ownPaths.test(path)) throw new SwarmError('not-found', 'page not found');
    return undefined;
  }
  const { pattern, since = '0' } = match.route;
  if (compareVersions(version, since) < 0) {
    throw new SwarmError(
      'invalid-argument',
      `${method} ${pattern} requires minimum API version ${since}`,
    );
  }
  return match;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

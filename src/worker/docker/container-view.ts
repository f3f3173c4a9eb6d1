import type { ContainerInfo } from './engine-port.ts';

/** A container as far as its task is concerned. */
export type ContainerView =
  | { readonly kind: 'created'; readonly hasHealthcheck: boolean }
  /** It runs; whether it is healthy is not known yet. */
  | { readonly kind: 'starting' }
  /** It runs, and is healthy if it has a health check. */
  | { readonly kind: 'running' }
  /** It runs, and its health check has failed for good. */
  | { readonly kind: 'unhealthy' }
  | { readonly kind: 'exited'; readonly exitCode: number; readonly cause: string | undefined };

/** Why a task fails whose health check did. */
export const unhealthyContainer = 'dockerexec: unhealthy container';

/** How often a health check that says nothing of it may fail. moby daemon/health.go */
const defaultRetries = 3;

/** What an inspected container means for its task. */
export function containerView(container: ContainerInfo): ContainerView {
  const { Status, Running, ExitCode, Error: error, Health } = container.State;
  if (Status === 'created') {
    const [kind = 'NONE'] = container.Config.Healthcheck?.Test ?? [];
    return { kind: 'created', hasHealthcheck: kind !== 'NONE' };
  }
  if (!Running) {
    const known = ExitCode !== 0 && error !== '' ? error : undefined;
    const cause = wasUnhealthy(container) ? unhealthyContainer : known;
    return { kind: 'exited', exitCode: ExitCode, cause };
  }
  if (wasUnhealthy(container)) return { kind: 'unhealthy' };
  return { kind: Health?.Status === 'starting' ? 'starting' : 'running' };
}

/**
 * Whether the health check has failed as often as it may. The Engine calls every container
 * unhealthy whose checks have ended, by a stop for instance: the word alone proves nothing.
 */
function wasUnhealthy({ State, Config }: ContainerInfo): boolean {
  const retries = Config.Healthcheck?.Retries ?? 0;
  return (
    State.Health?.Status === 'unhealthy' &&
    State.Health.FailingStreak >= (retries > 0 ? retries : defaultRetries)
  );
}

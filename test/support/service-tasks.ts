/** A task, as far as tests look at it. Engine API 1.47 `Task` */
export interface TaskObject {
  readonly ID: string;
  readonly ServiceID: string;
  readonly NodeID?: string;
  readonly Slot?: number;
  readonly DesiredState: string;
  readonly Spec: { readonly ContainerSpec: { readonly Image: string } };
  readonly Status: {
    readonly State: string;
    readonly Message?: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string; readonly ExitCode?: number };
  };
}

/** A manager's Engine API, whoever made the manager. */
export interface ManagerApi {
  readonly get: <T>(path: string) => Promise<T>;
  readonly until: (what: string, isSo: () => Promise<boolean>) => Promise<void>;
}

/** The tasks of a service, by slot. */
export async function tasksOf(
  manager: Pick<ManagerApi, 'get'>,
  service: string,
): Promise<readonly TaskObject[]> {
  const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
  const tasks = await manager.get<readonly TaskObject[]>(`/tasks?filters=${filters}`);
  return tasks.toSorted((a, b) => (a.Slot ?? 0) - (b.Slot ?? 0));
}

/** Those that are wanted and run. */
export async function runningTasks(
  manager: Pick<ManagerApi, 'get'>,
  service: string,
): Promise<readonly TaskObject[]> {
  return (await tasksOf(manager, service)).filter(
    ({ DesiredState, Status }) => DesiredState === 'running' && Status.State === 'running',
  );
}

/** Waits until a service runs that many tasks. */
export async function converged(
  manager: ManagerApi,
  service: string,
  replicas: number,
): Promise<readonly TaskObject[]> {
  let running: readonly TaskObject[] = [];
  await manager.until(`run ${replicas} of ${service}`, async () => {
    running = await runningTasks(manager, service);
    return running.length === replicas;
  });
  return running;
}

import { SystemClock } from '../../src/runtime/index.ts';
import type { EngineClient } from './engine-client.ts';

const clock = new SystemClock();

/** A service of tasks that are never really run. */
export const serviceOf = (name: string, replicas: number): unknown => ({
  Name: name,
  TaskTemplate: { ContainerSpec: { Image: 'busybox:latest', Command: ['sleep', '1000000'] } },
  Mode: { Replicated: { Replicas: replicas } },
});

/** The services of a swarm. Engine API 1.41 `Service` */
interface ListedService {
  readonly ID: string;
  readonly ServiceStatus: { readonly RunningTasks: number };
}

/** What `docker service ls` asks for. */
export const serviceList = '/services?status=true';

/** Waits until a manager knows that so many tasks run. */
export async function untilRunning(
  client: EngineClient,
  tasks: number,
  options: Parameters<typeof until>[2],
): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    const services = await client.get<readonly ListedService[]>(serviceList);
    return services.reduce((sum, it) => sum + it.ServiceStatus.RunningTasks, 0) === tasks;
  };
  await until(`${tasks} tasks run`, isSo, options);
}

export async function removeServices(client: EngineClient): Promise<void> {
  const services = await client.get<readonly ListedService[]>('/services');
  for (const { ID } of services) await client.change('DELETE', `/services/${ID}`);
}

/** Waits until something is true, and says how long that took, in milliseconds. */
export async function until(
  what: string,
  isSo: () => Promise<boolean>,
  { everyMs = 50, signal }: { readonly everyMs?: number; readonly signal: AbortSignal },
): Promise<number> {
  const begun = clock.monotonic();
  while (!(await isSo())) {
    if (clock.monotonic() - begun > timeoutMs)
      throw new Error(`${what}: not after ${timeoutMs} ms`);
    await clock.sleep(everyMs, signal);
  }
  return clock.monotonic() - begun;
}
const timeoutMs = 600_000;

/** How long each of some calls takes, in milliseconds, one after the other. */
export async function timesOf(count: number, call: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const begun = clock.monotonic();
    await call();
    times.push(clock.monotonic() - begun);
  }
  return times;
}

/** Calls many times with so many clients at once, and says how many milliseconds that took. */
export async function together(
  clients: number,
  count: number,
  call: (index: number) => Promise<unknown>,
): Promise<number> {
  const begun = clock.monotonic();
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: clients }, client));
  return clock.monotonic() - begun;
}

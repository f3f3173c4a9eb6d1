import type { HealthCheckRequest, HealthCheckResponseInput } from '../../api/gen/types.ts';
import type { Handlers } from '../../api/index.ts';
import { SwarmError } from '../../runtime/index.ts';

/**
 * Answers whether a manager's services work. Asked without a name it says whether it can be reached
 * at all. swarmkit manager/health/health.go
 */
export class Health implements Handlers<'Health'> {
  readonly #isServing: Readonly<Record<string, () => boolean>>;

  /** @param isServing whether each service works, by name: `Raft`, `ControlAPI` */
  constructor(isServing: Readonly<Record<string, () => boolean>>) {
    this.#isServing = isServing;
  }

  async check({ service }: HealthCheckRequest): Promise<HealthCheckResponseInput> {
    if (service === '') return { status: 'SERVING' };
    const isServing = Object.hasOwn(this.#isServing, service)
      ? this.#isServing[service]
      : undefined;
    if (isServing === undefined) throw new SwarmError('not-found', `unknown service ${service}`);
    return { status: isServing() ? 'SERVING' : 'NOT_SERVING' };
  }
}

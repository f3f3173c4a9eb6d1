import type { Config, Secret, Task } from '../api/index.ts';
import { SwarmError } from '../runtime/index.ts';
import { type TaskDependencies, TemporaryFailure } from './execution.ts';

/** A change of what the tasks of this node depend on. */
export interface DependencyChange {
  readonly secrets: readonly Secret[];
  readonly configs: readonly Config[];
  readonly removedSecretIds: readonly string[];
  readonly removedConfigIds: readonly string[];
}

/**
 * The secrets and configs that the managers gave this node for its tasks. They are held in memory
 * only: no secret is ever written to a disk by its worker.
 */
export class Dependencies {
  readonly #secrets = new Map<string, Secret>();
  readonly #configs = new Map<string, Config>();
  #isComplete = false;

  /** Takes over a change; a complete one replaces all that was there. */
  apply(change: DependencyChange, isComplete: boolean): void {
    if (isComplete) {
      this.#isComplete = true;
      this.#secrets.clear();
      this.#configs.clear();
    }
    for (const secret of change.secrets) this.#secrets.set(secret.id, secret);
    for (const config of change.configs) this.#configs.set(config.id, config);
    for (const id of change.removedSecretIds) this.#secrets.delete(id);
    for (const id of change.removedConfigIds) this.#configs.delete(id);
  }

  /** What one task may read: what its spec names, and nothing else. */
  of(task: Task): TaskDependencies {
    const secretIds = new Set(task.spec?.container?.secrets.map(({ secretId }) => secretId));
    const configIds = new Set(task.spec?.container?.configs.map(({ configId }) => configId));
    for (const { resourceId, resourceType } of task.spec?.resourceReferences ?? []) {
      if (resourceType === 'SECRET') secretIds.add(resourceId);
      if (resourceType === 'CONFIG') configIds.add(resourceId);
    }
    return {
      secret: (id) => {
        authorize(secretIds, 'secret', id);
        // A secret whose driver makes a new one for each task: swarmkit agent/secrets.
        const own = this.#secrets.get(`${id}.${task.id}`);
        return own ?? this.#secrets.get(id) ?? this.#missing('secret', id);
      },
      config: (id) => {
        authorize(configIds, 'config', id);
        return this.#configs.get(id) ?? this.#missing('config', id);
      },
    };
  }

  /**
   * @throws TemporaryFailure while no manager has given this node a complete assignment, as after
   *   a restart; then SwarmError not-found
   */
  #missing(kind: string, id: string): never {
    const text = `${kind} ${id} not found`;
    throw this.#isComplete ? new SwarmError('not-found', text) : new TemporaryFailure(text);
  }
}

function authorize(ids: ReadonlySet<string>, kind: string, id: string): void {
  if (ids.has(id)) return;
  throw new SwarmError('permission-denied', `task not authorized to access ${kind} ${id}`);
}

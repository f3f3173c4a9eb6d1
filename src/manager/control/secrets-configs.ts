import { timingSafeEqual } from 'node:crypto';
import {
  type Config,
  type Frozen,
  type ObjectOfKind,
  type Secret,
  serviceName,
} from '../../api/index.ts';
import type * as wire from '../../api/gen/types.ts';
import { newId, SwarmError } from '../../runtime/index.ts';
import type { ReadView, Transaction } from '../store/view.ts';
import { invalid, required, unimplemented } from './common/errors.ts';
import { hasLabels, type CommonFilters } from './common/filters.ts';
import { checkVersion, found } from './common/lookup.ts';
import { forWire } from './common/response.ts';
import type { ControlDeps, Methods } from './deps.ts';
import { validatePayloadName } from './spec/annotations.ts';

/** Secrets and configs are named data for containers. They differ in three ways, all of them here. */
type PayloadKind = 'secret' | 'config';

/** The data of one is shorter than so many bytes. swarmkit manager/controlapi */
const bytesBelow: Readonly<Record<PayloadKind, number>> = { secret: 512_000, config: 1_024_000 };

/** What leaves the managers of a secret: everything but what it is about. */
const shownSecret = (secret: Secret): wire.Secret =>
  forWire<wire.Secret>({
    ...secret,
    spec: secret.spec && { ...secret.spec, data: Buffer.alloc(0) },
  });
const shownConfig = (config: Config): wire.Config => forWire<wire.Config>(config);

type Deps = Pick<ControlDeps, 'store' | 'random'>;

/** Secrets: data that is held in memory only, and never shown again. */
export function secretMethods({
  store,
  random,
}: Deps): Methods<'createSecret' | 'getSecret' | 'listSecrets' | 'updateSecret' | 'removeSecret'> {
  return {
    createSecret: async ({ spec: given }) => {
      const spec = required(given);
      // Before its data, which a secret with a driver has not.
      if (spec.driver !== null) {
        throw unimplemented('secret drivers are not supported yet: give the secret its data');
      }
      validatePayload('secret', spec);
      const id = newId(random);
      const secret = await store.update((tx) => {
        checkNameIsFree(tx, 'secret', spec);
        tx.create('secret', { id, meta: null, spec, internal: false });
        return found(tx, 'secret', id);
      });
      return { secret: shownSecret(secret) };
    },

    getSecret: async ({ secretId }) => {
      const id = required(secretId);
      return { secret: shownSecret(store.view((view) => found(view, 'secret', id))) };
    },

    listSecrets: async ({ filters }) => {
      const secrets = store.view((view) => listedPayloads(view, 'secret', filters));
      return { secrets: secrets.filter(({ internal }) => !internal).map(shownSecret) };
    },

    updateSecret: async ({ secretId, secretVersion, spec: given }) => {
      const id = required(secretId);
      const version = required(secretVersion);
      const spec = required(given);
      const updated = await store.update((tx) => {
        const secret = found(tx, 'secret', id);
        checkVersion(secret, version);
        tx.update('secret', { ...secret, spec: withLabelsOf(spec, required(secret.spec)) });
        return found(tx, 'secret', id);
      });
      return { secret: shownSecret(updated) };
    },

    removeSecret: async ({ secretId }) => {
      const id = required(secretId);
      await store.update((tx) => removePayload(tx, 'secret', id));
      return {};
    },
  };
}

/** Configs: data that anybody who may ask a manager may read. */
export function configMethods({
  store,
  random,
}: Deps): Methods<'createConfig' | 'getConfig' | 'listConfigs' | 'updateConfig' | 'removeConfig'> {
  return {
    createConfig: async ({ spec: given }) => {
      const spec = required(given);
      validatePayload('config', spec);
      const id = newId(random);
      const config = await store.update((tx) => {
        checkNameIsFree(tx, 'config', spec);
        tx.create('config', { id, meta: null, spec });
        return found(tx, 'config', id);
      });
      return { config: shownConfig(config) };
    },

    getConfig: async ({ configId }) => {
      const id = required(configId);
      return { config: shownConfig(store.view((view) => found(view, 'config', id))) };
    },

    listConfigs: async ({ filters }) => {
      const configs = store.view((view) => listedPayloads(view, 'config', filters));
      return { configs: configs.map(shownConfig) };
    },

    updateConfig: async ({ configId, configVersion, spec: given }) => {
      const id = required(configId);
      const version = required(configVersion);
      const spec = required(given);
      const updated = await store.update((tx) => {
        const config = found(tx, 'config', id);
        checkVersion(config, version);
        tx.update('config', { ...config, spec: withLabelsOf(spec, required(config.spec)) });
        return found(tx, 'config', id);
      });
      return { config: shownConfig(updated) };
    },

    removeConfig: async ({ configId }) => {
      const id = required(configId);
      await store.update((tx) => removePayload(tx, 'config', id));
      return {};
    },
  };
}

/** What the specs of both kinds have. */
type PayloadSpec = Frozen<Pick<wire.ConfigSpec, 'annotations' | 'data'>>;

function validatePayload(kind: PayloadKind, { annotations, data }: PayloadSpec): void {
  validatePayloadName(annotations);
  if (data.length === 0 || data.length >= bytesBelow[kind]) {
    throw invalid(`${kind} data must be larger than 0 and less than ${bytesBelow[kind]} bytes`);
  }
}

function checkNameIsFree(view: ReadView, kind: PayloadKind, { annotations }: PayloadSpec): void {
  const name = annotations?.name ?? '';
  if (view.find(kind, { by: 'name', name }).length > 0) {
    throw new SwarmError('already-exists', `${kind} ${name} already exists`);
  }
}

/**
 * A spec with the labels of another. Nothing else of it may change: tasks that run have read the
 * data already. Data that is left out means the same data.
 *
 * @throws SwarmError invalid-argument
 */
function withLabelsOf<S extends PayloadSpec>(changed: PayloadSpec, spec: S): S {
  const isSameData = changed.data.length === 0 || isSame(changed.data, spec.data);
  if (changed.annotations?.name !== spec.annotations?.name || !isSameData) {
    throw invalid('only updates to Labels are allowed');
  }
  return {
    ...spec,
    annotations: spec.annotations && {
      ...spec.annotations,
      labels: changed.annotations?.labels ?? {},
    },
  };
}

/** Takes the same time wherever two data of one length differ: nobody learns a secret by guessing. */
const isSame = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);

/** @throws SwarmError invalid-argument, while services name it */
function removePayload(tx: Transaction, kind: PayloadKind, id: string): void {
  const name = found(tx, kind, id).spec?.annotations?.name ?? '';
  const users = tx.find('service', { by: 'reference', id }).map(serviceName);
  if (users.length > 0) {
    const services = users.length === 1 ? 'service' : 'services';
    throw invalid(`${kind} '${name}' is in use by the following ${services}: ${users.join(', ')}`);
  }
  tx.remove(kind, id);
}

/**
 * The secrets or configs a list asks for. Unlike those of other kinds, its names, name prefixes and
 * ID prefixes are alternatives to each other, and the case of names does not count.
 */
function listedPayloads<K extends PayloadKind>(
  view: ReadView,
  kind: K,
  filters: CommonFilters | null,
): readonly ObjectOfKind[K][] {
  if (filters === null) return view.find(kind);
  const { names, namePrefixes, idPrefixes, labels } = filters;
  const isForAll = names.length + namePrefixes.length + idPrefixes.length === 0;
  const chosen = isForAll
    ? view.find(kind)
    : [
        ...names.flatMap((name) => view.find(kind, { by: 'name', name })),
        ...namePrefixes.flatMap((prefix) => view.find(kind, { by: 'name-prefix', prefix })),
        ...idPrefixes.flatMap((prefix) => view.find(kind, { by: 'id-prefix', prefix })),
      ];
  return [...new Set(chosen)].filter(({ spec }) => hasLabels(labels, spec?.annotations?.labels));
}

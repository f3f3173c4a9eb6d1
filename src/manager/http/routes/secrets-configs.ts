import { SwarmError } from '../../../runtime/index.ts';
import { compareVersions } from '../api-version.ts';
import { type Api, type ApiCall, controlOf, empty, json, type Reply } from '../api-call.ts';
import type { Fields } from '../convert/fields.ts';
import {
  configSpecFromEngine,
  configToEngine,
  secretSpecFromEngine,
  secretToEngine,
} from '../convert/swarm.ts';
import { namedFilters } from '../filters.ts';
import { findConfig, findSecret } from '../lookup.ts';

/** `GET /secrets` */
export async function listSecrets(call: ApiCall, { node }: Api): Promise<Reply> {
  const filters = namedFilters(call.query.get('filters'), ['names', 'name', 'id', 'label']);
  const { secrets } = await controlOf(node, call.signal)('ListSecrets', { filters });
  return json(secrets.map(secretToEngine));
}

/** `GET /secrets/{id}` */
export async function inspectSecret(call: ApiCall, { node }: Api): Promise<Reply> {
  return json(secretToEngine(await findSecret(controlOf(node, call.signal), call.param('id'))));
}

/** `POST /secrets/create` */
export async function createSecret(call: ApiCall, { node }: Api): Promise<Reply> {
  const body = await call.body();
  checkTemplating(call, body, 'secret');
  const spec = secretSpecFromEngine(body);
  const { secret } = await controlOf(node, call.signal)('CreateSecret', { spec });
  return json({ ID: secret?.id }, 201);
}

/** `POST /secrets/{id}/update` */
export async function updateSecret(call: ApiCall, { node }: Api): Promise<Reply> {
  const body = await call.body();
  const secretVersion = call.objectVersion('secret');
  const spec = secretSpecFromEngine(body);
  const control = controlOf(node, call.signal);
  const { id } = await findSecret(control, call.param('id'));
  await control('UpdateSecret', { secretId: id, secretVersion, spec });
  return empty(200);
}

/** `DELETE /secrets/{id}` */
export async function removeSecret(call: ApiCall, { node }: Api): Promise<Reply> {
  const control = controlOf(node, call.signal);
  const { id } = await findSecret(control, call.param('id'));
  await control('RemoveSecret', { secretId: id });
  return empty(204);
}

/** `GET /configs` */
export async function listConfigs(call: ApiCall, { node }: Api): Promise<Reply> {
  const filters = namedFilters(call.query.get('filters'));
  const { configs } = await controlOf(node, call.signal)('ListConfigs', { filters });
  return json(configs.map(configToEngine));
}

/** `GET /configs/{id}` */
export async function inspectConfig(call: ApiCall, { node }: Api): Promise<Reply> {
  return json(configToEngine(await findConfig(controlOf(node, call.signal), call.param('id'))));
}

/** `POST /configs/create` */
export async function createConfig(call: ApiCall, { node }: Api): Promise<Reply> {
  const body = await call.body();
  checkTemplating(call, body, 'config');
  const spec = configSpecFromEngine(body);
  const { config } = await controlOf(node, call.signal)('CreateConfig', { spec });
  return json({ ID: config?.id }, 201);
}

/** `POST /configs/{id}/update` */
export async function updateConfig(call: ApiCall, { node }: Api): Promise<Reply> {
  const body = await call.body();
  const configVersion = call.objectVersion('config');
  const spec = configSpecFromEngine(body);
  const control = controlOf(node, call.signal);
  const { id } = await findConfig(control, call.param('id'));
  await control('UpdateConfig', { configId: id, configVersion, spec });
  return empty(200);
}

/** `DELETE /configs/{id}` */
export async function removeConfig(call: ApiCall, { node }: Api): Promise<Reply> {
  const control = controlOf(node, call.signal);
  const { id } = await findConfig(control, call.param('id'));
  await control('RemoveConfig', { configId: id });
  return empty(204);
}

/** Templates exist since 1.37: a client that speaks an older version cannot mean them. */
function checkTemplating(call: ApiCall, body: Fields, kind: 'secret' | 'config'): void {
  if (!body.has('Templating') || compareVersions(call.version, '1.37') >= 0) return;
  throw new SwarmError(
    'invalid-argument',
    `${kind} templating is not supported on the specified API version: ${call.version}`,
  );
}

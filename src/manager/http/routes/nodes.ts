import { type Api, type ApiCall, controlOf, empty, json, type Reply } from '../api-call.ts';
import { nodeSpecFromEngine, nodeToEngine } from '../convert/node.ts';
import { nodeFilters } from '../filters.ts';
import { findNode } from '../lookup.ts';

/** `GET /nodes` */
export async function listNodes(call: ApiCall, { node }: Api): Promise<Reply> {
  const filters = nodeFilters(call.query.get('filters'));
  const { nodes } = await controlOf(node, call.signal)('ListNodes', { filters });
  return json(nodes.map(nodeToEngine));
}

/** `GET /nodes/{id}` */
export async function inspectNode(call: ApiCall, { node }: Api): Promise<Reply> {
  return json(nodeToEngine(await findNode(controlOf(node, call.signal), call.param('id'))));
}

/** `POST /nodes/{id}/update` */
export async function updateNode(call: ApiCall, { node }: Api): Promise<Reply> {
  const body = await call.body();
  const nodeVersion = call.objectVersion('node');
  const spec = nodeSpecFromEngine(body);
  const control = controlOf(node, call.signal);
  const { id } = await findNode(control, call.param('id'));
  await control('UpdateNode', { nodeId: id, nodeVersion, spec });
  return empty(200);
}

/** `DELETE /nodes/{id}` */
export async function removeNode(call: ApiCall, { node }: Api): Promise<Reply> {
  const control = controlOf(node, call.signal);
  const { id } = await findNode(control, call.param('id'));
  await control('RemoveNode', { nodeId: id, force: call.lax('force') });
  return empty(200);
}

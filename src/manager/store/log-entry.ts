import { codecOf, type ObjectKind, objectKinds, type StoreObject } from '../../api/index.ts';
import type { StoreAction, StoreActionInput, StoreActionKind } from '../../api/gen/types.ts';
import { assert } from '../../runtime/index.ts';
import type { Change } from './overlay.ts';

const actionCodec = codecOf('StoreAction');
const requestCodec = codecOf('InternalRaftRequest');

const wireActions = {
  create: 'STORE_ACTION_CREATE',
  update: 'STORE_ACTION_UPDATE',
  remove: 'STORE_ACTION_REMOVE',
} as const satisfies Record<Change['action'], StoreActionKind>;

const changeActions = ['create', 'update', 'remove'] as const;

/** One change as the log holds it. */
export const encodeChange = ({ action, kind, object }: Change): Buffer => {
  const input: StoreActionInput = { action: wireActions[action] };
  return actionCodec.encode(Object.assign(input, { [kind]: object })); // The oneof's member.
};

/** `InternalRaftRequest.action`, a length-delimited field of number 2. */
const actionTag = 0x12;

/**
 * A transaction as the log holds it: an `InternalRaftRequest` of changes that were encoded one by
 * one, so that each is encoded once and its size is known before the transaction is closed.
 */
export function encodeRequest(id: number, changes: readonly Buffer[]): Buffer {
  const parts: Uint8Array[] = [requestCodec.encode({ id: String(id) })];
  for (const change of changes) {
    parts.push(Uint8Array.of(actionTag, ...varint(change.length)), change);
  }
  return Buffer.concat(parts);
}

/** What {@link encodeRequest} adds to each change, at most. */
export const changeOverheadBytes = 6;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return [...bytes, rest];
}

/**
 * The changes of a committed entry.
 *
 * @throws what protobuf throws, or AssertionError for an action this manager does not know: it
 *   must stop then, for to skip one would let it differ from the others without a word
 */
export const decodeRequest = (data: Buffer): readonly Change[] =>
  requestCodec.decode(data).action.map(changeOf);

function changeOf(action: StoreAction): Change {
  const kind = action.target;
  assert(isKind(kind), `the log's action has a target this manager knows: ${String(kind)}`);
  const object: StoreObject | null | undefined = action[kind];
  assert(object !== null && object !== undefined, `the log's action carries its ${kind}`);
  const name = changeActions.find((candidate) => wireActions[candidate] === action.action);
  assert(name !== undefined, `the log's action is one this manager knows: ${action.action}`);
  return { action: name, kind, object } as Change; // The oneof pairs each kind with its object.
}

const isKind = (text: string | undefined): text is ObjectKind =>
  objectKinds.some((kind) => kind === text);

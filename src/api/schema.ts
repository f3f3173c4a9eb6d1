import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { assert } from '../runtime/index.ts';
import type { WireMessages, WireServices } from './gen/types.ts';

export type MessageName = keyof WireMessages;
export type ServiceName = keyof WireServices;

/** One message of the contract, to and from its bytes. */
export interface Codec<In, Out> {
  encode(message: In): Buffer;
  /** @throws what protobuf throws, if the bytes are no such message */
  decode(bytes: Uint8Array): Out;
  /** The complete form of a partial message: every scalar, list and map present. */
  create(message: In): Out;
}

type CodecOf<K extends MessageName> = Codec<WireMessages[K]['input'], WireMessages[K]['output']>;

/** Who may call a method, as its `tls_authorization` option says. */
export type Access =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'roles'; readonly roles: readonly string[] };

// The generator's flags in scripts/gen.mjs and these are one decision.
const files = [
  'ca',
  'control',
  'dispatcher',
  'health',
  'logbroker',
  'objects',
  'raft',
  'resource',
  'snapshot',
  'specs',
  'types',
  'watch',
].map((name) => `swarmkit/${name}.proto`);

const definitions = loadSync(
  [...files, 'swarmd/raft-stream.proto', 'raftpb/raft.proto', 'plugin.proto'],
  {
    includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  },
);

const codecs = new Map<MessageName, unknown>();

/** The codec of a message, by its name: `Task`, or `raftpb.Entry`. */
export function codecOf<K extends MessageName>(name: K): CodecOf<K> {
  const known = codecs.get(name);
  if (known !== undefined) return known as CodecOf<K>; // Stored under this very name below.
  const fullName = name.startsWith('raftpb.') ? name : `docker.swarmkit.v1.${name}`;
  const definition = definitions[fullName];
  assert(definition !== undefined && 'serialize' in definition, `${name} is a message of proto/`);
  const { serialize, deserialize } = definition as unknown as MessageTypeDefinition<
    WireMessages[K]['input'],
    WireMessages[K]['output']
  >;
  const codec: CodecOf<K> = {
    encode: (message) => serialize(message),
    decode: (bytes) => deserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
    create: (message) => deserialize(serialize(message)),
  };
  codecs.set(name, codec);
  return codec;
}

/** The service as gRPC serves and calls it. */
export function serviceDefinition(service: ServiceName): ServiceDefinition {
  const definition =
    definitions[`docker.swarmkit.v1.${service}`] ?? definitions[`swarmd.v1.${service}`];
  assert(definition !== undefined && !('format' in definition), `${service} is a service`);
  return definition;
}

/**
 * Who may call a method.
 *
 * @returns `undefined` for a method that declares nothing: it must not be served
 */
export function accessOf(service: ServiceName, method: string): Access | undefined {
  const declared: unknown = (
    serviceDefinition(service)[method]?.options as Record<string, unknown> | undefined
  )?.['(docker.protobuf.plugin.tls_authorization)'];
  if (typeof declared !== 'object' || declared === null) return undefined;
  const { insecure, roles } = declared as { insecure?: boolean; roles?: string | string[] };
  if (insecure === true) return { kind: 'anyone' };
  if (roles === undefined) return undefined;
  return { kind: 'roles', roles: typeof roles === 'string' ? [roles] : roles };
}

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import { describe, expect, test } from 'vitest';
import { accessOf, serviceDefinition, type ServiceName } from '../../src/api/index.ts';

/**
 * The contract of docker.swarmkit.v1 and raftpb as stock Engines speak it. A field is `<number>
 * <type>`, then the oneof it is in, then whether a list of it is written unpacked.
 */
interface Table {
  readonly messages: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly services: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

interface Scope {
  readonly messages: readonly MessageDescriptor[] | undefined;
  readonly enums: readonly EnumDescriptor[] | undefined;
}

/** What protoc's descriptors say of a file; only what is compared. descriptor.proto */
interface FieldDescriptor {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName?: string;
  readonly oneofIndex?: number;
  readonly options?: { readonly packed?: boolean };
}
interface EnumDescriptor {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number?: number }[];
}
interface MessageDescriptor {
  readonly name: string;
  readonly field?: readonly FieldDescriptor[];
  readonly nestedType?: readonly MessageDescriptor[];
  readonly enumType?: readonly EnumDescriptor[];
  readonly oneofDecl?: readonly { readonly name: string }[];
  readonly options?: { readonly mapEntry?: boolean };
}
interface FileDescriptor {
  readonly package: string;
  readonly messageType?: readonly MessageDescriptor[];
  readonly enumType?: readonly EnumDescriptor[];
}

const proto = fileURLToPath(new URL('../../proto', import.meta.url));
const table = JSON.parse(
  readFileSync(new URL('wire-fields.json', import.meta.url), 'utf8'),
) as Table;

/** The files of proto/ as the loader understood them, by their packages. */
function loadedFiles(): ReadonlyMap<string, FileDescriptor> {
  const names = ['ca', 'control', 'dispatcher', 'health', 'logbroker', 'raft', 'resource'];
  const paths = [...names, 'snapshot', 'watch'].map((name) => `swarmkit/${name}.proto`);
  const loaded = loadSync(paths, { includeDirs: [proto], keepCase: true, enums: String });
  // What the loader has for each message; its own types do not tell messages from services.
  const definitions = loaded as unknown as Readonly<
    Record<string, { fileDescriptorProtos?: Buffer[]; deserialize(bytes: Buffer): FileDescriptor }>
  >;
  const bytes = Object.values(definitions).flatMap(
    ({ fileDescriptorProtos }) => fileDescriptorProtos ?? [],
  );
  const files = bytes.flatMap(
    (file) => definitions['google.protobuf.FileDescriptorProto']?.deserialize(file) ?? [],
  );
  return new Map(files.map((file) => [file.package, file]));
}

const ours = 'docker.swarmkit.v1';
const messages = new Map<string, MessageDescriptor>();
const enums = new Map<string, EnumDescriptor>();
const join = (scope: string, name: string): string => (scope === '' ? name : `${scope}.${name}`);

function collect(scope: string, { messages: inner, enums: own }: Scope): void {
  for (const one of own ?? []) enums.set(join(scope, one.name), one);
  for (const message of inner ?? []) {
    const name = join(scope, message.name);
    messages.set(name, message);
    collect(name, { messages: message.nestedType, enums: message.enumType });
  }
}
for (const [name, { messageType, enumType }] of loadedFiles()) {
  const scope = { messages: messageType, enums: enumType };
  if (name === ours) collect('', scope);
  if (name === 'raftpb') collect('raftpb', scope);
}

/** The full name of a type that is named as seen from a scope. */
function resolve(scope: string, typeName: string): string {
  for (let at = scope; at !== ''; at = at.split('.').slice(0, -1).join('.')) {
    const full = join(at, typeName);
    if (messages.has(full) || enums.has(full)) return full;
  }
  return typeName;
}

const scalar = (type: string): string => type.replace('TYPE_', '').toLowerCase();

function typeOf(scope: string, field: FieldDescriptor): string {
  const name = field.typeName === undefined ? scalar(field.type) : resolve(scope, field.typeName);
  const entry = messages.get(name);
  if (entry?.options?.mapEntry === true) {
    return `map<${(entry.field ?? []).map((part) => typeOf(name, part)).join(',')}>`;
  }
  return field.label === 'LABEL_REPEATED' ? `repeated ${name}` : name;
}

const packable = (type: string): boolean =>
  !['TYPE_MESSAGE', 'TYPE_STRING', 'TYPE_BYTES'].includes(type);

function describeField(name: string, field: FieldDescriptor): string {
  const { oneofDecl = [] } = messages.get(name) ?? {};
  const oneof = field.oneofIndex === undefined ? undefined : oneofDecl[field.oneofIndex];
  const isUnpacked =
    field.label === 'LABEL_REPEATED' && packable(field.type) && field.options?.packed === false;
  return [
    `${field.number} ${typeOf(name, field)}`,
    ...(oneof === undefined ? [] : [`in ${oneof.name}`]),
    ...(isUnpacked ? ['unpacked'] : []),
  ].join(' ');
}

const part = (isStream: boolean, { type }: { readonly type: object }): string =>
  `${isStream ? 'stream ' : ''}${(type as { readonly name: string }).name}`;

const known = [...messages].filter(([, { options }]) => options?.mapEntry !== true);

describe('the contract', () => {
  test('has these messages and no others', () => {
    expect(known.map(([name]) => name).toSorted()).toEqual(Object.keys(table.messages).toSorted());
  });

  test.each(Object.entries(table.messages))('%s has its fields, as they are', (name, fields) => {
    const loaded = messages.get(name)?.field ?? [];
    expect(
      Object.fromEntries(loaded.map((field) => [field.name, describeField(name, field)])),
    ).toEqual(fields);
  });

  test('has these enums with these numbers', () => {
    const loaded = [...enums].map(([name, { value }]) => [
      name,
      Object.fromEntries(value.map((one) => [one.name, one.number ?? 0])),
    ]);
    expect(Object.fromEntries(loaded)).toEqual(table.enums);
  });

  test.each(Object.entries(table.services))(
    '%s has its calls, and who may make them',
    (name, calls) => {
      const service = name as ServiceName; // A name that is none is no service below.
      const loaded = Object.entries(serviceDefinition(service)).map(([call, definition]) => {
        const access = accessOf(service, call);
        const who = access?.kind === 'roles' ? access.roles.join(' ') : access?.kind;
        const request = part(definition.requestStream, definition.requestType);
        const response = part(definition.responseStream, definition.responseType);
        expect(definition.path).toBe(`/${ours}.${name}/${call}`);
        return [call, `${request} -> ${response} for ${String(who)}`];
      });
      expect(Object.fromEntries(loaded)).toEqual(calls);
    },
  );
});

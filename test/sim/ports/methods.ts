import {
  type Access,
  accessOf,
  codecOf,
  serviceDefinition,
  type ServiceName,
} from '../../../src/api/index.ts';

type Convert = (message: unknown) => unknown;

/** What the network knows of a method. */
export interface Method {
  readonly service: ServiceName;
  readonly name: string;
  /** Its handler's name. */
  readonly handler: string;
  readonly access: Access | undefined;
  /** A request, or a response, as it arrives over a real wire. */
  readonly asRequest: Convert;
  readonly asResponse: Convert;
}

const known = new Map<ServiceName, Map<string, Method>>();

export function methodOf(service: ServiceName, name: string): Method {
  const methods = known.get(service) ?? new Map<string, Method>();
  const found = methods.get(name);
  if (found !== undefined) return found;
  const definition = serviceDefinition(service)[name];
  if (definition === undefined) throw new Error(`no method ${service}.${name}`);
  const method: Method = {
    service,
    name,
    handler: `${name.charAt(0).toLowerCase()}${name.slice(1)}`,
    access: accessOf(service, name),
    asRequest: convertTo(definition.requestType),
    asResponse: convertTo(definition.responseType),
  };
  known.set(service, methods.set(name, method));
  return method;
}

function convertTo({ type }: { readonly type: object }): Convert {
  const { name } = type as { readonly name: Parameters<typeof codecOf>[0] };
  const codec = codecOf(name);
  // The service's own types say what a message is; here it is only passed through.
  return (message) => codec.create(message as never);
}

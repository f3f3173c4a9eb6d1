import Docker from 'dockerode';
import {
  childOf,
  type Clock,
  type ErrorCode,
  firstOf,
  isSwarmError,
  messageOf,
  SwarmError,
} from '../../runtime/index.ts';
import type {
  ContainerBody,
  ContainerEvent,
  ContainerInfo,
  Engine,
  EngineInfo,
  EngineLogOptions,
  PullProgress,
} from './engine-port.ts';
import { systemLabel } from './config/labels.ts';

/** How long the Engine may take over a call that is not meant to last. */
const callTimeoutMs = 120_000;

/** The events that {@link Engine.events} tells of. */
const actions = ['start', 'die', 'destroy', 'health_status'];

/** A Docker Engine, over its HTTP API. */
export class DockerEngine implements Engine {
  readonly #modem: Modem;
  readonly #clock: Clock;

  /**
   * @param host where it listens, such as `unix:///var/run/docker.sock` or `tcp://10.0.0.1:2375`.
   *   If undefined, it is found as the docker CLI finds it, TLS included: by DOCKER_HOST and its
   *   kin.
   * @throws SwarmError invalid-argument, for a host of another kind
   */
  constructor({ clock }: { readonly clock: Clock }, host?: string) {
    this.#clock = clock;
    // The package's types leave its own transport untyped.
    this.#modem = new Docker(host === undefined ? {} : addressOf(host)).modem;
  }

  async info(signal: AbortSignal): Promise<EngineInfo> {
    return this.#call<EngineInfo>({ path: '/info' }, signal);
  }

  async hasImage(image: string, signal: AbortSignal): Promise<boolean> {
    const inspect = this.#call({ path: `/images/${image}/json` }, signal);
    return inspect.then(() => true, ifMissing(false));
  }

  async *pullImage(
    image: string,
    auth: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<PullProgress> {
    const request: Request = {
      method: 'POST',
      path: '/images/create',
      query: { fromImage: image },
      ...(auth === undefined ? {} : { auth }),
    };
    for await (const line of this.#jsonLines(request, signal)) {
      if ('error' in line) throw new SwarmError('unknown', String(line.error));
      yield line;
    }
  }

  async createContainer(name: string, body: ContainerBody, signal: AbortSignal): Promise<string> {
    const request: Request = { method: 'POST', path: '/containers/create', query: { name }, body };
    const created = await this.#call<{ readonly Id: string }>(request, signal).catch(
      (error: unknown) => {
        if (!isSwarmError(error, 'failed-precondition')) throw error;
        throw new SwarmError('already-exists', error.message, { cause: error });
      },
    );
    return created.Id;
  }

  async startContainer(name: string, signal: AbortSignal): Promise<void> {
    await this.#call({ method: 'POST', path: `/containers/${name}/start` }, signal);
  }

  async stopContainer(name: string, signal: AbortSignal): Promise<void> {
    // Without the deadline of other calls: a grace period may be as long as a user likes.
    using stopping = childOf(signal);
    await this.#dial({ method: 'POST', path: `/containers/${name}/stop` }, stopping.signal);
  }

  async removeContainer(name: string, signal: AbortSignal): Promise<void> {
    const query = { force: 'true', v: 'true' };
    await this.#call({ method: 'DELETE', path: `/containers/${name}`, query }, signal).catch(
      (error: unknown) => {
        if (isSwarmError(error, 'not-found')) return;
        const isConflict = isSwarmError(error, 'failed-precondition');
        if (!isConflict || !error.message.includes('already in progress')) throw error;
      },
    );
  }

  async inspectContainer(name: string, signal: AbortSignal): Promise<ContainerInfo | undefined> {
    const inspect = this.#call<ContainerInfo>({ path: `/containers/${name}/json` }, signal);
    return inspect.catch(ifMissing(undefined));
  }

  async listContainers(labels: Labels, signal: AbortSignal): Promise<readonly Labels[]> {
    const label = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    const query = { all: 'true', filters: JSON.stringify({ label }) };
    const containers = await this.#call<ReadonlyArray<{ readonly Labels: Labels }>>(
      { path: '/containers/json', query },
      signal,
    );
    return containers.map((container) => container.Labels);
  }

  async *events(signal: AbortSignal): AsyncIterable<ContainerEvent | 'connected'> {
    const filters = { type: ['container'], label: [systemLabel.task], event: actions };
    const request: Request = { path: '/events', query: { filters: JSON.stringify(filters) } };
    using listening = childOf(signal);
    const stream = await this.#stream(request, listening.signal);
    yield 'connected';
    for await (const line of linesOf(stream, signal)) {
      const { Action, Actor } = JSON.parse(line) as EngineEvent; // the shape is the API's promise
      const { name, exitCode } = Actor.Attributes;
      yield {
        action: Action,
        name,
        exitCode: exitCode === undefined ? undefined : Number(exitCode),
      };
    }
  }

  async *logs(
    name: string,
    { since, stdout, stderr, follow, tail }: EngineLogOptions,
    signal: AbortSignal,
  ): AsyncIterable<Buffer> {
    const flags = { stdout, stderr, follow, tail, timestamps: true, details: true };
    const query = Object.fromEntries(Object.entries(flags).map(([key, on]) => [key, String(on)]));
    const request: Request = {
      path: `/containers/${name}/logs`,
      query: since === undefined ? query : { ...query, since },
    };
    using reading = childOf(signal);
    yield* chunksOf(await this.#stream(request, reading.signal), signal);
  }

  async *#jsonLines(request: Request, signal: AbortSignal): AsyncIterable<object> {
    using reading = childOf(signal);
    for await (const line of linesOf(await this.#stream(request, reading.signal), signal)) {
      yield JSON.parse(line) as object; // a line of these streams is an object
    }
  }

  async #stream(request: Request, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    // A response that is asked for as a stream is one.
    return (await this.#dial({ ...request, isStream: true }, signal)) as AsyncIterable<Buffer>;
  }

  async #call<T>(request: Request, signal: AbortSignal): Promise<T> {
    const answer = await firstOf(
      signal,
      async (inner) => this.#dial(request, inner),
      async (inner) => {
        await this.#clock.sleep(callTimeoutMs, inner);
        throw new SwarmError('unavailable', 'the Docker Engine does not answer in time');
      },
    );
    return answer as T; // the shape is the API's promise
  }

  /** @param signal one of this call's own: it is listened to for as long as the call lasts */
  async #dial(request: Request, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    const { method = 'GET', path, query = {}, body = {}, auth, isStream = false } = request;
    return new Promise((resolve, reject) => {
      this.#modem.dial(
        {
          method,
          path: `${path}?`,
          options: { _query: query, _body: body },
          isStream,
          statusCodes: { 200: true, 201: true, 204: true, 304: true },
          abortSignal: signal,
          ...(auth === undefined ? {} : { authconfig: { base64: auth } }),
        },
        (error, answer) => {
          if (error === null) resolve(answer);
          else reject(signal.aborted ? (signal.reason as Error) : toSwarmError(error));
        },
      );
    });
  }
}

type Labels = Readonly<Record<string, string>>;

interface Request {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** The header X-Registry-Auth. */
  readonly auth?: string;
  readonly isStream?: boolean;
}

/** The transport inside dockerode, as far as it is used here. */
interface Modem {
  dial(request: object, done: (error: EngineError | null, answer: unknown) => void): void;
}

interface EngineError extends Error {
  /** Absent if the Engine gave no answer. */
  readonly statusCode?: number;
}

interface EngineEvent {
  readonly Action: string;
  readonly Actor: {
    readonly Attributes: { readonly name: string; readonly exitCode?: string };
  };
}

function addressOf(host: string): Docker.DockerOptions {
  if (host.startsWith('unix://')) {
    // A host that is set, though undefined, keeps DOCKER_HOST from having a say.
    return { socketPath: host.slice('unix://'.length), host: undefined };
  }
  if (URL.canParse(host) && /^(tcp|http):/u.test(host)) {
    const { hostname, port } = new URL(host);
    return { protocol: 'http', host: hostname, port: port === '' ? 2375 : Number(port) };
  }
  throw new SwarmError(
    'invalid-argument',
    `invalid docker host ${host}: it is neither unix:// nor tcp://`,
  );
}

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid-argument',
  401: 'unauthenticated',
  403: 'permission-denied',
  404: 'not-found',
  409: 'failed-precondition',
  501: 'unimplemented',
  503: 'unavailable',
};

/** What an Engine answered as the error it stands for, in the Engine's own words. */
function toSwarmError(error: EngineError): SwarmError {
  if (error.statusCode === undefined) {
    const message = `the Docker Engine does not answer: ${error.message}`;
    return new SwarmError('unavailable', message, { cause: error });
  }
  // dockerode puts `(HTTP code 404) … - ` before what the Engine said, and a space behind it.
  const message = error.message.replace(/^\(HTTP code \d+\) .*? - /u, '').trimEnd();
  return new SwarmError(codes[error.statusCode] ?? 'internal', message, { cause: error });
}

const ifMissing =
  <T>(otherwise: T) =>
  (error: unknown): T => {
    if (isSwarmError(error, 'not-found')) return otherwise;
    throw error;
  };

/** The chunks of a response. A connection that breaks is an Engine that is away. */
async function* chunksOf(
  stream: AsyncIterable<Buffer>,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  try {
    yield* stream;
  } catch (error) {
    signal.throwIfAborted();
    const message = `the Docker Engine has gone away: ${messageOf(error)}`;
    throw new SwarmError('unavailable', message, { cause: error });
  }
}

async function* linesOf(stream: AsyncIterable<Buffer>, signal: AbortSignal): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunksOf(stream, signal)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line.trim() !== '');
  }
  if (rest.trim() !== '') yield rest;
}

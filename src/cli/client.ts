import Docker from 'dockerode';
import { messageOf } from '../runtime/index.ts';
import { defaults } from './daemon/config.ts';
import { CommandFailure, type Shell } from './shell.ts';

/** What the daemon answered with: its HTTP status, and its message in docker's wrapping. */
class DaemonError extends CommandFailure {
  readonly status: number;

  constructor(status: number, message: string) {
    super(`Error response from daemon: ${message}`);
    this.status = status;
  }
}

export const isNotFound = (error: unknown): boolean =>
  error instanceof DaemonError && error.status === 404;

/** A query string. What is undefined is left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export type Headers = Readonly<Record<string, string>>;

interface RequestOptions {
  readonly query?: Query;
  readonly body?: object;
  readonly headers?: Headers;
}

/** Objects that a filter lets through: `{"service": ["web"]}`. */
export type Filters = Readonly<Record<string, readonly string[]>>;

/** The Engine API, as the CLI uses it: the one door to a daemon. */
export class EngineClient {
  readonly #docker: Docker;
  readonly #host: string;
  readonly #headers: Headers;

  /**
   * @param host `unix:///path` or `tcp://host:port`
   * @param isStale take what this node's manager knows, leader or not
   */
  constructor(host: string, isStale = false) {
    this.#headers = isStale ? { 'X-Swarm-Stale': 'true' } : {};
    this.#host = host;
    const url = /^(?:tcp|http):\/\/(?<host>[^:/]+):(?<port>\d+)/u.exec(host)?.groups;
    this.#docker = new Docker(
      url === undefined
        ? // A host that is set, though undefined, keeps DOCKER_HOST from having a say.
          { socketPath: host.replace(/^unix:\/\//u, ''), host: undefined }
        : { host: url['host'] ?? '', port: Number(url['port']), protocol: 'http' },
    );
  }

  async get<T>(path: string, query: Query = {}, headers: Headers = {}): Promise<T> {
    return (await this.#dial('GET', path, { query, headers }, {})) as T; // By the caller's reading of the API.
  }

  /** The objects of a list that filters let through. */
  async list<T>(path: string, filters: Filters = {}, query: Query = {}): Promise<readonly T[]> {
    const wanted = Object.entries(filters).map(
      ([key, values]) => [key, Object.fromEntries(values.map((value) => [value, true]))] as const,
    );
    const encoded =
      wanted.length === 0
        ? query
        : { ...query, filters: JSON.stringify(Object.fromEntries(wanted)) };
    return (await this.get<readonly T[] | null>(path, encoded)) ?? [];
  }

  async post<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return (await this.#dial('POST', path, options, {})) as T; // As in get().
  }

  async delete(path: string, query: Query = {}): Promise<void> {
    await this.#dial('DELETE', path, { query }, {});
  }

  /** An answer that goes on: a log. */
  async stream(path: string, query: Query): Promise<NodeJS.ReadableStream> {
    const answer = await this.#dial('GET', path, { query }, { isStream: true });
    return answer as NodeJS.ReadableStream; // As asked for.
  }

  async #dial(
    method: string,
    path: string,
    { query = {}, body, headers = {} }: RequestOptions,
    { isStream = false }: { readonly isStream?: boolean },
  ): Promise<unknown> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    return new Promise<unknown>((resolve, reject) => {
      this.#docker.modem.dial(
        {
          path: `${path}?`,
          method,
          headers: { ...this.#headers, ...headers },
          isStream,
          statusCodes: { 200: true, 201: true, 204: true },
          options: { _query: Object.fromEntries(given), _body: body ?? {} },
        },
        (error: unknown, result: unknown) => {
          if (error === null || error === undefined) resolve(result);
          else reject(this.#explained(error));
        },
      );
    });
  }

  #explained(error: unknown): Error {
    const { statusCode, json, code } = error as {
      readonly statusCode?: number;
      readonly json?: { readonly message?: string } | string | null;
      readonly code?: string;
    };
    if (statusCode !== undefined) {
      const told = typeof json === 'string' ? json : json?.message;
      // The refusal of a stream is read by dockerode, which puts it into its own words.
      const said = told ?? messageOf(error).replace(/^\(HTTP code \d+\) \w+ - /u, '');
      return new DaemonError(statusCode, said.trim());
    }
    if (code === 'EACCES') {
      return new CommandFailure(
        `permission denied while trying to connect to the swarmd daemon at ${this.#host}: run this as root, or as a member of the socket's group`,
      );
    }
    if (code === 'ENOENT' || code === 'ECONNREFUSED') {
      return new CommandFailure(
        `Cannot connect to the swarmd daemon at ${this.#host}. Is the swarmd daemon running? (start one with swarmd manager, swarmd worker or swarmd daemon; SWARMD_HOST or --host names another socket)`,
      );
    }
    return new CommandFailure(`error during connect: ${messageOf(error)}`);
  }
}

/** The daemon a command talks to: `--host`, `SWARMD_HOST`, or the usual socket. */
export const clientFor = ({ env }: Shell): EngineClient =>
  new EngineClient(env['SWARMD_HOST'] ?? defaults.host, env['SWARMD_STALE'] === 'true');

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A request that came in. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** An answer with a status of its own. */
export class Reply {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, body: unknown) {
    this.status = status;
    this.body = body;
  }
}

/** The answer of a daemon that refuses. */
export const refusal = (status: number, message: string): Reply => new Reply(status, { message });

type Answer = (asked: Asked) => unknown;

/** A daemon on a Unix socket that answers what it was told to, and keeps what it was asked. */
export class FakeDaemon implements AsyncDisposable {
  readonly socketPath: string;
  readonly asked: Asked[] = [];
  readonly #directory: string;
  readonly #answers = new Map<string, Answer>();
  readonly #server: Server;

  private constructor(directory: string) {
    this.#directory = directory;
    this.socketPath = join(directory, 'swarmd.sock');
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const url = new URL(request.url ?? '/', 'http://daemon');
        const text = Buffer.concat(chunks).toString();
        const asked = {
          method: request.method ?? '',
          path: decodeURIComponent(url.pathname).replace(/\?$/u, ''),
          query: Object.fromEntries(url.searchParams),
          headers: request.headers,
          body: text === '' ? undefined : (JSON.parse(text) as unknown),
        };
        this.asked.push(asked);
        const { status, body } = this.#answer(asked);
        response.statusCode = status;
        if (Buffer.isBuffer(body)) response.end(body);
        else {
          response.setHeader('Content-Type', 'application/json');
          response.end(JSON.stringify(body));
        }
      });
    });
  }

  static async start(): Promise<FakeDaemon> {
    const daemon = new FakeDaemon(await mkdtemp(join(tmpdir(), 'fake-daemon-')));
    await new Promise<void>((resolve) => {
      daemon.#server.listen(daemon.socketPath, resolve);
    });
    return daemon;
  }

  /** @param route `GET /nodes/self` */
  on(route: string, answer: unknown): this {
    this.#answers.set(route, typeof answer === 'function' ? (answer as Answer) : () => answer);
    return this;
  }

  /** The requests of a method, in order. */
  sent(method: string): readonly Asked[] {
    return this.asked.filter((asked) => asked.method === method);
  }

  #answer(asked: Asked): Reply {
    const answer = this.#answers.get(`${asked.method} ${asked.path}`);
    const kind = asked.path.split('/')[1]?.replace(/s$/u, '') ?? '';
    const name = asked.path.split('/')[2] ?? '';
    if (answer === undefined) return refusal(404, `${kind} ${name} not found`);
    const body = answer(asked);
    return body instanceof Reply ? body : new Reply(200, body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
    await rm(this.#directory, { recursive: true, force: true });
  }
}

import http from 'node:http';

const timeoutMs = 120_000;

/** A client of an Engine API on a Unix socket that keeps its connections, as the SDKs do. */
export class EngineClient implements AsyncDisposable {
  readonly #socketPath: string;
  readonly #agent = new http.Agent({ keepAlive: true });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The answer, as text: reading it is not part of what is measured. */
  async text(
    path: string,
    { method = 'GET', body }: { readonly method?: string; readonly body?: unknown } = {},
  ): Promise<{ readonly status: number; readonly text: string }> {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': sent?.length ?? 0 };
      const request = http.request(
        {
          socketPath: this.#socketPath,
          path: `/v1.41${path}`,
          method,
          agent: this.#agent,
          timeout: timeoutMs,
          ...(sent === undefined ? {} : { headers }),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error(`${path}: no answer`)));
      request.on('error', reject);
      request.end(sent);
    });
  }

  /** What is at a path. It must be there. */
  async get<T>(path: string): Promise<T> {
    const { status, text } = await this.text(path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
    return JSON.parse(text) as T; // By the caller's reading of the API.
  }

  /** Changes something. It must succeed. */
  async change(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void> {
    const { status, text } = await this.text(path, { method, body });
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    await Promise.resolve();
  }
}

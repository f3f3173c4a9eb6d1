import http from 'node:http';

/** What a server on a Unix socket answers: its status, and its body as JSON if it is that. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * Asks a server on a Unix socket.
 *
 * @throws Error, if it cannot be reached
 */
export async function askSocket(
  socketPath: string,
  path: string,
  { method = 'GET', body }: { readonly method?: string; readonly body?: unknown } = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        socketPath,
        path,
        method,
        timeout: 10_000,
        agent: false,
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' } }),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: parsed(text) });
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error(`${path}: no answer in 10 s`)));
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown; // Its reader knows what it asked for.
  } catch {
    return text;
  }
}

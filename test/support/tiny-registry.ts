import { createHash } from 'node:crypto';
import http from 'node:http';
import { gzipSync } from 'node:zlib';

/** A registry with one image, which it gives to who has the password. Registry HTTP API V2 */
export interface TinyRegistry extends AsyncDisposable {
  readonly port: number;
  /** The credentials it wants, as the header X-Registry-Auth carries them. */
  readonly auth: string;
}

const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Base64 as the header has it: for addresses, and padded. */
const encoded = (value: object): string =>
  Buffer.from(JSON.stringify(value)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');

/** What it serves by path, under `/v2/app/`: an empty image. */
function contents(): ReadonlyMap<string, { readonly type: string; readonly bytes: Buffer }> {
  const layer = Buffer.alloc(1_024); // An archive with nothing in it ends at once.
  const packed = gzipSync(layer);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    }),
  );
  const docker = 'application/vnd.docker';
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${docker}.distribution.manifest.v2+json`,
      config: {
        mediaType: `${docker}.container.image.v1+json`,
        size: config.length,
        digest: digestOf(config),
      },
      layers: [
        {
          mediaType: `${docker}.image.rootfs.diff.tar.gzip`,
          size: packed.length,
          digest: digestOf(packed),
        },
      ],
    }),
  );
  const served = { type: `${docker}.distribution.manifest.v2+json`, bytes: manifest };
  return new Map([
    ['manifests/1', served],
    [`manifests/${digestOf(manifest)}`, served],
    [`blobs/${digestOf(config)}`, { type: 'application/octet-stream', bytes: config }],
    [`blobs/${digestOf(packed)}`, { type: 'application/octet-stream', bytes: packed }],
  ]);
}

const refusal = (code: string, message: string): string =>
  JSON.stringify({ errors: [{ code, message }] });
const unauthorized = refusal('UNAUTHORIZED', 'authentication required');
const unknown = refusal('MANIFEST_UNKNOWN', 'manifest unknown');

/** Starts a registry that has the image `app:1`. */
export async function startTinyRegistry(): Promise<TinyRegistry> {
  const [username, password] = ['me', 'secret'];
  const wanted = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const files = contents();
  const server = http.createServer((request, response) => {
    if (request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="tiny"' }).end(unauthorized);
      return;
    }
    const file = files.get((request.url ?? '').replace('/v2/app/', ''));
    if (request.url === '/v2/') response.end('{}');
    else if (file === undefined) response.writeHead(404).end(unknown);
    else {
      response.writeHead(200, {
        'content-type': file.type,
        'content-length': file.bytes.length,
        'docker-content-digest': digestOf(file.bytes),
      });
      response.end(request.method === 'HEAD' ? undefined : file.bytes);
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    auth: encoded({ username, password }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

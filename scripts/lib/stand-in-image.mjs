import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Images for an Engine that reaches no registry. All of them are one static busybox and two
 * scripts; their names are those a tutorial uses.
 */

/** Waits until it is told to stop, and then stops at once: a first process has no default action. */
const hold = `#!/bin/sh
trap 'exit 0' TERM INT QUIT
while :; do sleep 3600 & wait $!; done
`;

/** Serves a page that names its version and its host, and a health page. */
const serve = `#!/bin/sh
trap 'exit 0' TERM INT QUIT
mkdir -p /www
echo "<h1>Welcome to nginx \${VERSION:-latest}</h1><p>served by $(hostname)</p>" > /www/index.html
echo ok > /www/health
echo "serving on port \${PORT:-80}"
httpd -f -p "\${PORT:-80}" -h /www &
wait $!
`;

const isUp = 'wget -q -O /dev/null http://127.0.0.1/health';
const web = ['CMD ["/serve"]', 'EXPOSE 80'];

/** What there is: the name of each image, and what its Dockerfile would say. */
const standIns = {
  'busybox:latest': ['CMD ["sh"]'],
  'alpine:latest': ['CMD ["sh"]'],
  'nginx:latest': web,
  'nginx:1.24': [...web, 'ENV VERSION=1.24'],
  'nginx:1.25': [...web, 'ENV VERSION=1.25'],
  'nginx:healthy': [...web, `HEALTHCHECK --interval=500ms --timeout=2s --retries=2 CMD ${isUp}`],
  'redis:latest': ['CMD ["/hold"]'],
  'redis:3.0.6': ['CMD ["/hold"]', 'ENV VERSION=3.0.6'],
  'redis:3.0.7': ['CMD ["/hold"]', 'ENV VERSION=3.0.7'],
  'hold:latest': ['CMD ["/hold"]'],
};

const busyboxPath = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));

/** Why no stand-in can be built on this machine; undefined if they can. */
export const whyNoStandIn = () =>
  busyboxPath === undefined ? 'busybox (package busybox-static) is not installed' : undefined;

/** The file system all stand-ins share, as a tar archive. */
async function standInTar() {
  if (busyboxPath === undefined) throw new Error(whyNoStandIn());
  const root = await mkdtemp(join(tmpdir(), 'stand-in-'));
  try {
    for (const folder of ['bin', 'etc', 'tmp', 'www', 'root', 'run', 'proc', 'sys', 'dev']) {
      await mkdir(join(root, folder));
    }
    await chmod(join(root, 'tmp'), 0o1777);
    await copyFile(busyboxPath, join(root, 'bin/busybox'));
    const list = spawnSync(busyboxPath, ['--list'], { encoding: 'utf8' }).stdout;
    for (const name of list.split('\n').filter((line) => line !== '' && line !== 'busybox')) {
      await symlink('busybox', join(root, 'bin', name));
    }
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    await writeFile(join(root, 'etc/group'), 'root:x:0:\n');
    await writeFile(join(root, 'hold'), hold, { mode: 0o755 });
    await writeFile(join(root, 'serve'), serve, { mode: 0o755 });
    const args = ['-C', root, '--owner=0', '--group=0', '-c', '.'];
    const { status, stdout, stderr } = spawnSync('tar', args, { maxBuffer: 64 * 1024 * 1024 });
    if (status !== 0) throw new Error(`tar: ${stderr.toString()}`);
    return stdout;
  } finally {
    await rm(root, { recursive: true });
  }
}

/** Has the Engine make an image of a tar archive, as `docker import` does. */
async function importImage(socketPath, image, changes, tar) {
  const [repo, tag] = image.split(':');
  const query = new URLSearchParams({ fromSrc: '-', repo, tag });
  for (const change of ['ENV PATH=/bin', ...changes]) query.append('changes', change);
  await new Promise((resolve, reject) => {
    const request = http.request(
      { socketPath, method: 'POST', path: `/images/create?${query}` },
      (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => {
          if (response.statusCode === 200 && !text.includes('"error"')) resolve(undefined);
          else reject(new Error(`import of ${image}: ${text}`));
        });
      },
    );
    request.on('error', reject);
    request.end(tar);
  });
}

/**
 * Imports stand-ins into an Engine.
 *
 * @param {string} socketPath the Engine's socket
 * @param {readonly string[]} [images] some of {@link standIns}; all of them if not given
 */
export async function importStandIns(socketPath, images = Object.keys(standIns)) {
  const tar = await standInTar();
  for (const image of images) await importImage(socketPath, image, standIns[image], tar);
}

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, copyFile, mkdir, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { TemporaryDirectory } from './temporary-directory.ts';

const root = new URL('../..', import.meta.url).pathname;
const dist = process.env['SWARMD_DIST'] ?? join(root, 'dist');

function printed(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** The instructions of the Dockerfile's last stage. */
function lastStage(): readonly string[] {
  const lines = readFileSync(join(root, 'Dockerfile'), 'utf8').split('\n');
  return lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')) + 1);
}

/**
 * Makes the image that the Dockerfile describes from what is on this machine: its Node.js, the
 * libraries that is linked to, a static busybox, the built program and its packages. For where no
 * registry answers; what the last stage of the Dockerfile says is done as it says.
 */
export async function importNodeImage(dockerHost: string, image: string): Promise<void> {
  await using directory = await TemporaryDirectory.create();
  const files = join(directory.path, 'root');
  await addNode(files);
  await addShell(files);
  const stage = lastStage();
  const workDir = stage.find((line) => line.startsWith('WORKDIR '))?.slice(8) ?? '/';
  for (const line of stage) {
    const copied = /^COPY --from=build \/src\/(?<from>\S+) (?<to>\S+)$/u.exec(line)?.groups;
    if (copied === undefined) continue;
    const to = join(files, workDir, copied['from'] ?? '');
    if (copied['from'] === 'node_modules') await addPackages(to);
    else if (copied['from'] === 'dist') await cp(dist, to, { recursive: true });
    else await cp(join(root, copied['from'] ?? ''), to, { recursive: true });
  }
  const changes = stage
    .filter((line) => /^(?:CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|WORKDIR) /u.test(line))
    .flatMap((line) => ['--change', line]);
  const tar = join(directory.path, 'image.tar');
  printed('tar', '-C', files, '--owner=0', '--group=0', '-cf', tar, '.');
  printed('docker', '-H', dockerHost, 'import', ...changes, tar, image);
}

async function addNode(files: string): Promise<void> {
  const libraries = [...printed('ldd', process.execPath).matchAll(/(?<path>\/\S+) \(0x/gu)];
  for (const { groups } of libraries) {
    const path = groups?.['path'] ?? '';
    await mkdir(join(files, dirname(path)), { recursive: true });
    await copyFile(path, join(files, path));
  }
  await mkdir(join(files, 'usr/local/bin'), { recursive: true });
  await copyFile(process.execPath, join(files, 'usr/local/bin/node'));
}

async function addShell(files: string): Promise<void> {
  const busybox = printed('sh', '-c', 'command -v busybox').trim();
  await mkdir(join(files, 'bin'), { recursive: true });
  await mkdir(join(files, 'tmp'));
  await copyFile(busybox, join(files, 'bin/busybox'));
  for (const name of ['sh', 'cat', 'ls', 'kill', 'ps']) {
    await symlink('busybox', join(files, 'bin', name));
  }
}

/** The packages that a production install has. */
async function addPackages(to: string): Promise<void> {
  const listed = printed('npm', 'ls', '--omit=dev', '--all', '--parseable').trim().split('\n');
  for (const path of listed) {
    const name = relative(join(root, 'node_modules'), path);
    if (name.startsWith('..')) continue; // The project itself.
    await cp(path, join(to, name), {
      recursive: true,
      // Packages inside packages are listed themselves, if they are wanted.
      filter: (source) => !source.slice(path.length).includes('/node_modules'),
    });
  }
}

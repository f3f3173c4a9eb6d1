import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The commands that a real Engine and its stand-in images need, and Debian's packages for them. */
const packages = {
  dockerd: 'docker.io',
  docker: 'docker-cli',
  busybox: 'busybox-static',
  ip: 'iproute2',
  iptables: 'iptables',
  nft: 'nftables',
};

const has = (command) =>
  spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin" command -v ${command}`]).status === 0;
const missingCommands = () => Object.keys(packages).filter((command) => !has(command));

/** Runs a command with its output shown; ends this process if it fails. */
function mustRun(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status === 0) return;
  console.error(`\n${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}

/** Installs the packages of package-lock.json, if they are not there, and builds dist/ if it is old. */
export function ensureBuilt() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    console.error(`swarmd needs Node 20.19 or newer; this is ${process.version}`);
    process.exit(1);
  }
  if (!existsSync(`${root}node_modules/.package-lock.json`)) {
    console.log('Installing packages (npm install) …');
    // Not `npm ci`: it fails where a registry lacks an optional package of some other platform.
    mustRun('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts']);
  }
  if (isOlder(`${root}dist/cli/main.js`, ['src', 'proto', 'tsconfig.build.json'])) {
    console.log('Building …');
    mustRun('npm', ['run', '--silent', 'build']);
  }
}

function isOlder(target, sources) {
  if (!existsSync(target)) return true;
  const built = statSync(target).mtimeMs;
  return sources.some((source) => newest(`${root}${source}`) > built);
}

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path)
    .filter((name) => name !== 'gen')
    .reduce((latest, name) => Math.max(latest, newest(`${path}/${name}`)), 0);
}

/**
 * Installs Debian's Docker Engine and what goes with it, if it is not there.
 *
 * @returns why there is no Engine on this machine, and what to do; undefined if there is one
 */
export function ensureEngine() {
  const missing = missingCommands();
  if (missing.length === 0) return undefined;
  if (!has('apt-get')) {
    return `${missing.join(', ')} not found: install a Docker Engine, see https://docs.docker.com/engine/install/, and a static busybox`;
  }
  const names = missing.map((command) => packages[command]);
  if (process.getuid?.() !== 0) {
    return `${missing.join(', ')} not found: run this as root, or: sudo apt-get install ${names.join(' ')}`;
  }
  console.log(`Installing ${names.join(' ')} (apt-get) …`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => spawnSync('apt-get', args, { env, encoding: 'utf8' });
  apt('update', '-qq');
  const failures = [];
  for (const command of Object.keys(packages)) {
    if (has(command)) continue; // In some releases docker.io brings the docker CLI with it.
    const { status, stderr } = apt(
      'install', '-y', '-qq', '--no-install-recommends', packages[command],
    );
    if (status !== 0) failures.push(`apt-get install ${packages[command]}: ${stderr.trim()}`);
  }
  return missingCommands().length === 0 ? undefined : failures.join('; ');
}

/** Installs Debian's docker-compose, if it can be had; a test that needs it is skipped without. */
export function ensureCompose() {
  const hasPlugin = spawnSync('docker', ['compose', 'version']).status === 0;
  if (hasPlugin || has('docker-compose') || !has('apt-get') || process.getuid?.() !== 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const args = ['install', '-y', '-qq', '--no-install-recommends', 'docker-compose'];
  spawnSync('apt-get', args, { env });
}

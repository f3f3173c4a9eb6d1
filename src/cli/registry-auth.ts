import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../runtime/index.ts';
import { CommandFailure, type Shell } from './shell.ts';

/** The name Docker Hub goes by among the credentials. */
const hubAddress = 'https://index.docker.io/v1/';

/** What docker login writes. */
interface ConfigFile {
  readonly auths?: Readonly<
    Record<string, { readonly auth?: string; readonly identitytoken?: string }>
  >;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

/** The registry an image comes from: `registry.local:5000/web:1` is of `registry.local:5000`. */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:]/u.test(first) || first === 'localhost');
  return isHost && !/^(?:index\.)?docker\.io$/u.test(first) ? first : hubAddress;
}

/** `https://registry.local/v2/` and `registry.local` are the same registry. */
const hostOf = (address: string): string =>
  address.replace(/^https?:\/\//u, '').split('/')[0] ?? address;

/**
 * The header by which the Engine API takes the credentials for an image's registry: those that
 * docker login has written to `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`.
 *
 * @returns no header, if there are none for that registry
 * @throws CommandFailure if the file cannot be read, or leaves the registry to a credential helper
 */
export async function registryAuth(
  image: string,
  { env }: Shell,
): Promise<Readonly<Record<string, string>>> {
  const path = join(env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? '/', '.docker'), 'config.json');
  const config = await readConfig(path);
  const registry = registryOf(image);
  const helper = config.credHelpers?.[hostOf(registry)] ?? config.credsStore;
  const found = Object.entries(config.auths ?? {}).find(
    ([address]) => address === registry || hostOf(address) === hostOf(registry),
  )?.[1];
  if (found?.auth === undefined && found?.identitytoken === undefined) {
    if (helper === undefined) return {};
    throw new CommandFailure(
      `--with-registry-auth: the credentials for ${registry} are with the credential helper ${helper}, which is not supported: log in without one, so that ${path} has them`,
    );
  }
  const [username = '', ...password] = Buffer.from(found.auth ?? '', 'base64')
    .toString()
    .replace(/\0+$/u, '')
    .split(':');
  const credentials = {
    username,
    password: password.join(':'),
    serveraddress: registry,
    ...(found.identitytoken === undefined ? {} : { identitytoken: found.identitytoken }),
  };
  const text = Buffer.from(JSON.stringify(credentials)).toString('base64');
  // Base64 for URLs, with its padding. Engine API 1.47, Authentication
  return { 'X-Registry-Auth': text.replaceAll('+', '-').replaceAll('/', '_') };
}

async function readConfig(path: string): Promise<ConfigFile> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ConfigFile; // Each part may be missing.
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'ENOENT') return {};
    throw new CommandFailure(`--with-registry-auth: ${path}: ${messageOf(error)}`);
  }
}

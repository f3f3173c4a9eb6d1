import { SwarmError } from '../../runtime/index.ts';

/** The newest and the oldest version of the Engine API this server answers. */
export const apiVersionMax = '1.47';
export const apiVersionMin = '1.24';

/** Negative if `a` is older than `b`, 0 if they are the same, positive if it is newer. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const older = (a: string, b: string): string => (compareVersions(a, b) < 0 ? a : b);

/**
 * The version a client is told to speak: the newest that this server and the local Engine both
 * understand. What is passed on to the Engine is then in words it knows, and every command about
 * the swarm works from 1.41 on, which Engine 20.10 speaks. While the Engine is away it is the
 * newest of this server's own.
 */
export const advertisedVersion = (engineMax: string | undefined): string =>
  engineMax === undefined ? apiVersionMax : older(engineMax, apiVersionMax);

export interface VersionedPath {
  /** `undefined` for a path without a version: the newest is meant. */
  readonly version: string | undefined;
  /** What follows the version, with the query. */
  readonly path: string;
}

/** Splits `/v1.41/nodes?x` in its version and the rest. */
export function splitVersion(url: string): VersionedPath {
  const match = /^\/v([0-9.]+)(\/.*)$/u.exec(url);
  return match === null
    ? { version: undefined, path: url }
    : { version: match[1], path: match[2] ?? '/' };
}

/** @throws SwarmError invalid-argument, for a version this server does not answer */
export function checkVersion(version: string): void {
  if (compareVersions(version, apiVersionMin) < 0) {
    throw new SwarmError(
      'invalid-argument',
      `client version ${version} is too old. Minimum supported API version is ${apiVersionMin}, please upgrade your client to a newer version`,
    );
  }
  if (compareVersions(version, apiVersionMax) > 0) {
    throw new SwarmError(
      'invalid-argument',
      `client version ${version} is too new. Maximum supported API version is ${apiVersionMax}`,
    );
  }
}

/**
 * The path under which the local Engine is asked: a version newer than it knows is lowered to its
 * newest. A client that speaks 1.47 to an Engine of 1.41 so loses what 1.41 lacks, and no more.
 */
export const enginePath = (
  { version, path }: VersionedPath,
  engineMax: string | undefined,
): string => {
  if (version === undefined) return path;
  return `/v${engineMax === undefined ? version : older(version, engineMax)}${path}`;
};

import { codecOf } from '../../api/index.ts';
import { type Random, SwarmError } from '../../runtime/index.ts';
import { fernetOpen, fernetSeal } from './fernet.ts';

/** What a manager's log is sealed with: SwarmKit's DEKs, of 32 bytes each. */
export interface LogSecrets {
  readonly current: Buffer;
  /** The next one, while the log is on its way to it: parts of the log are sealed with either. */
  readonly pending: Buffer | undefined;
  /** Whether there is to be another: who had the unlock key before could read this one. */
  readonly needsRotation: boolean;
}

const secretBytes = 32;

export const newLogSecret = (random: Random): Buffer => random.bytes(secretBytes);

/** Headers of the key file. swarmkit manager/deks.go */
const names = {
  current: 'raft-dek',
  pending: 'raft-dek-pending',
  needsRotation: 'raft-dek-needs-rotation',
} as const;

const record = codecOf('MaybeEncryptedRecord');

/**
 * The secrets as headers of the node's key file: each in a record of SwarmKit's, sealed with the
 * KEK if there is one. The algorithm is the one that stock managers use under FIPS and read always.
 */
export function logSecretsToHeaders(
  random: Random,
  { current, pending, needsRotation }: LogSecrets,
  kek: Buffer | undefined,
): Readonly<Record<string, string>> {
  const sealed = (secret: Buffer): string =>
    record
      .encode(
        kek === undefined
          ? { data: secret }
          : { algorithm: 'FERNET_AES_128_CBC', data: fernetSeal(random, kek, secret) },
      )
      .toString('base64');
  return {
    [names.current]: sealed(current),
    ...(pending === undefined ? {} : { [names.pending]: sealed(pending) }),
    ...(needsRotation ? { [names.needsRotation]: 'true' } : {}),
  };
}

/**
 * The secrets in a key file's headers.
 *
 * @returns `undefined`, if there are none: the node is no manager yet
 * @throws SwarmError invalid-argument, if they cannot be read, or not with this KEK
 */
export function logSecretsFromHeaders(
  headers: Readonly<Record<string, string>>,
  kek: Buffer | undefined,
): LogSecrets | undefined {
  const secretIn = (name: string): Buffer | undefined => {
    const value = headers[name];
    return value === undefined ? undefined : opened(name, value, kek);
  };
  const [current, pending] = [secretIn(names.current), secretIn(names.pending)];
  if (current !== undefined) {
    return { current, pending, needsRotation: headers[names.needsRotation] !== undefined };
  }
  if (pending === undefined) return undefined;
  throw new SwarmError('invalid-argument', 'there is a pending DEK, but no current DEK');
}

function opened(name: string, value: string, kek: Buffer | undefined): Buffer {
  const { algorithm, data } = decoded(name, value);
  if (algorithm === 'NONE' && data.length === secretBytes) return data;
  const secret =
    algorithm === 'FERNET_AES_128_CBC' && kek !== undefined ? fernetOpen(kek, data) : undefined;
  if (secret?.length === secretBytes) return secret;
  throw new SwarmError('invalid-argument', `${name} cannot be read (${algorithm})`);
}

function decoded(name: string, value: string): ReturnType<typeof record.decode> {
  try {
    return record.decode(Buffer.from(value, 'base64'));
  } catch (error) {
    throw new SwarmError('invalid-argument', `${name} is no record`, { cause: error });
  }
}

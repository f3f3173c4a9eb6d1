import type { KeyObject } from 'node:crypto';
import { type Random, SwarmError } from '../../runtime/index.ts';
import { keyFromPem, keyToPem } from '../x509/key.ts';
import { pem, type PemBlock, pemBlocks } from '../x509/pem.ts';
import { type LogSecrets, logSecretsFromHeaders, logSecretsToHeaders } from './log-secrets.ts';
import { openedKey, sealedKey } from './sealed-key.ts';
import { type Kek, supersedes } from './unlock-key.ts';

const plainLabel = 'PRIVATE KEY';
const sealedLabel = 'ENCRYPTED PRIVATE KEY';
const versionHeader = 'kek-version';

/** What is in the file of a node's key. swarmkit ca/keyreadwriter.go */
export interface KeyFile {
  readonly key: KeyObject;
  /** What it is sealed with on the disk. */
  readonly kek: Kek;
  /** `undefined`, if the node is no manager. */
  readonly logSecrets: LogSecrets | undefined;
}

/** A node's key file as text: one PEM block, whose headers hold the rest. */
export function writeKeyFile(random: Random, { key, kek, logSecrets }: KeyFile): string {
  const headers = {
    [versionHeader]: String(kek.version),
    ...(logSecrets === undefined ? {} : logSecretsToHeaders(random, logSecrets, kek.key)),
  };
  if (kek.key !== undefined) return pem(sealedLabel, sealedKey(random, key, kek.key), headers);
  const [block] = pemBlocks(keyToPem(key));
  return pem(plainLabel, block?.der ?? Buffer.alloc(0), headers);
}

/**
 * Reads a node's key file.
 *
 * @param kek is not asked for if the file is not sealed
 * @returns `locked`, if it is sealed with something else
 * @throws SwarmError invalid-argument, if it is no such file
 */
export function readKeyFile(text: string, kek: Buffer | undefined): KeyFile | 'locked' {
  const [block] = pemBlocks(text);
  if (block === undefined) throw new SwarmError('invalid-argument', 'not a private key');
  const isSealed = block.label === sealedLabel;
  const key = isSealed ? kek && openedKey(block.der, kek) : plainKey(block);
  if (key === undefined) return 'locked';
  const used = isSealed ? kek : undefined;
  return {
    key,
    kek: { key: used, version: versionIn(block.headers) },
    logSecrets: logSecretsFromHeaders(block.headers, used),
  };
}

/**
 * A key file as it is to be once its manager has heard of a KEK: itself, unless that is newer.
 *
 * A log secret that is sealed with it from now on is to be replaced: it could be read by whoever
 * had the KEK before it, or, if there was none, the disk. SwarmKit replaces it in the second case
 * alone.
 *
 * @throws SwarmError failed-precondition, as {@link supersedes}
 */
export function sealedWith(file: KeyFile, kek: Kek): KeyFile {
  if (!supersedes(kek, file.kek)) return file;
  const { logSecrets } = file;
  const isSealed = kek.key !== undefined;
  return {
    ...file,
    kek,
    logSecrets: logSecrets && isSealed ? { ...logSecrets, needsRotation: true } : logSecrets,
  };
}

/** Without its headers: OpenSSL does not read a key that has any. */
const plainKey = ({ label, der }: PemBlock): KeyObject => keyFromPem(pem(label, der));

function versionIn(headers: PemBlock['headers']): number {
  const text = headers[versionHeader] ?? '0';
  const version = Number(text);
  if (/^\d+$/u.test(text) && Number.isSafeInteger(version)) return version;
  throw new SwarmError('invalid-argument', `${versionHeader} is no version`);
}

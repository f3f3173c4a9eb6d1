import { createPublicKey, type KeyObject } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, type Random, SwarmError } from '../runtime/index.ts';
import { type KeyFile, readKeyFile, sealedWith, writeKeyFile } from './at-rest/key-file.ts';
import { type LogSecrets, newLogSecret } from './at-rest/log-secrets.ts';
import { type Kek, noKek } from './at-rest/unlock-key.ts';
import { certificatesOf, nodeSubjectOf, normalizedPem } from './x509/certificate.ts';
import { keyFromPem, keyToPem, spkiOf } from './x509/key.ts';

const files = {
  root: 'swarm-root-ca.crt',
  rootKey: 'swarm-root-ca.key',
  cert: 'swarm-node.crt',
  nextCert: '.swarm-node.crt',
  key: 'swarm-node.key',
} as const;

type FileName = (typeof files)[keyof typeof files];

/** What proves who this node is, and whom it trusts; all PEM. */
export interface Identity {
  readonly rootCaPem: string;
  /** The leaf and its intermediates. */
  readonly certPem: string;
  /** PKCS #8, without headers. */
  readonly keyPem: string;
}

/** What became of a key file whose manager was told of a KEK. */
export type Resealing = 'kept' | 'sealed' | 'resealed' | 'opened';

/**
 * A node's identity on disk: `<state>/certificates`, mode 0700, keys 0600. Its files are those of a
 * stock Engine. swarmkit ca/keyreadwriter.go
 *
 * A new identity is written so that a crash at any point leaves the old one or the new one: first
 * the certificate beside its place, then the key, then the certificate into its place. A reader
 * that finds a key without its certificate looks beside the place.
 *
 * The key file of a manager holds the secrets of its log too. In a swarm that locks its managers
 * both are sealed with a KEK, which is in no file: until {@link unlock} is given it, they are out
 * of reach. Every change of the file is one rename.
 */
export class KeyStore {
  readonly #directory: string;
  readonly #random: Random;
  /** The KEK that the key file is sealed with, once it is known. */
  #kek: Buffer | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor({ directory, random }: { readonly directory: string; readonly random: Random }) {
    this.#directory = directory;
    this.#random = random;
  }

  /** Whether there is a key file that is sealed with a KEK this process was not given. */
  async isLocked(): Promise<boolean> {
    return (await this.#keyFile()) === 'locked';
  }

  /**
   * Takes the KEK for as long as this process lives.
   *
   * @returns whether it opens the key file. Otherwise nothing has changed
   */
  async unlock(kek: Buffer): Promise<boolean> {
    const file = await this.#keyFile(kek);
    if (file === 'locked') return false;
    this.#kek = file?.kek.key;
    return true;
  }

  /**
   * The identity this node has.
   *
   * @returns `undefined`, if it has none yet
   * @throws SwarmError failed-precondition, if it is locked, or if what is there is no identity: it
   *   is never replaced by a new one unasked
   */
  async load(): Promise<Identity | undefined> {
    const [root, keyFile] = [await this.#read(files.root), await this.#opened()];
    if (keyFile === undefined) {
      if ((await this.#read(files.cert)) !== undefined)
        throw this.#wrong(`${files.key} is missing`);
      return undefined; // A root alone is what a join that was cut short leaves.
    }
    if (root === undefined) throw this.#wrong(`${files.root} is missing`);
    const certPem = await this.#certificateOf(keyFile.key);
    this.#understood(files.root, () => certificatesOf(root));
    return { rootCaPem: root, certPem, keyPem: keyToPem(keyFile.key) };
  }

  /**
   * The ID of the node whose directory this is, as far as its certificate says: it can be read
   * while the node is locked. Empty, if it cannot.
   */
  async nodeId(): Promise<string> {
    const certPem = (await this.#read(files.cert)) ?? (await this.#read(files.nextCert));
    try {
      return nodeSubjectOf(certificatesOf(certPem ?? '')[0]).nodeId;
    } catch {
      return ''; // Who asks wants to be rid of it.
    }
  }

  /**
   * Writes a new identity, whole or not at all.
   *
   * A manager's stays sealed as it was, or is sealed with `kek` if that is newer. A worker's is
   * never sealed, and the secrets of a log it had as a manager are gone: nobody can read that again.
   */
  async save({ rootCaPem, certPem, keyPem }: Identity, kek: Kek = noKek): Promise<void> {
    await this.#alone(async () => {
      const before = await this.#opened();
      const key = keyFromPem(keyPem);
      const isManager = nodeSubjectOf(certificatesOf(certPem)[0]).role === 'swarm-manager';
      const file = isManager
        ? sealedWith({ kek: noKek, logSecrets: undefined, ...before, key }, kek)
        : { key, kek: { ...noKek, version: before?.kek.version ?? 0 }, logSecrets: undefined };
      await this.saveRootCa(rootCaPem);
      await this.#write(files.nextCert, normalizedPem(certPem), 0o644);
      await this.#writeKeyFile(file);
      await this.#rename(files.nextCert, files.cert);
    });
  }

  /** As {@link logSecrets}, if there are any. */
  async knownLogSecrets(): Promise<LogSecrets | undefined> {
    return (await this.#opened())?.logSecrets;
  }

  /**
   * The secrets this manager's log is sealed with. They are made when they are first asked for.
   *
   * @throws SwarmError failed-precondition, if there is no identity, or it is locked
   */
  async logSecrets(): Promise<LogSecrets> {
    return this.#changeLogSecrets((secrets) => secrets ?? firstSecrets(this.#random));
  }

  /**
   * Replaces the secrets by what `change` makes of them.
   *
   * @throws SwarmError failed-precondition, if there are none
   */
  async updateLogSecrets(change: (secrets: LogSecrets) => LogSecrets): Promise<LogSecrets> {
    return this.#changeLogSecrets((secrets) => {
      if (secrets === undefined) throw this.#wrong(`${files.key} is no manager's`);
      return change(secrets);
    });
  }

  /**
   * Seals the key file of a manager with another KEK, if it is newer. Whoever had the one before
   * could read the log's secret, so that is to be replaced too.
   *
   * @throws SwarmError failed-precondition, as {@link logSecrets}; or if one version of the cluster
   *   has two keys
   */
  async reseal(kek: Kek): Promise<Resealing> {
    return this.#alone(async () => {
      const before = await this.#present();
      const isManager = before.logSecrets !== undefined;
      const after = isManager ? sealedWith(before, kek) : before;
      if (after === before) return 'kept';
      await this.#writeKeyFile(after);
      if (after.kek.key === undefined) return 'opened';
      return before.kek.key === undefined ? 'sealed' : 'resealed';
    });
  }

  /** Writes the roots this node trusts, byte for byte: their digest is known by their bytes. */
  async saveRootCa(rootCaPem: string): Promise<void> {
    if ((await this.#read(files.root)) === rootCaPem) return;
    await this.#write(files.root, rootCaPem, 0o644);
  }

  /**
   * The key of the root, between the founding of a swarm and its first entry in the log: from then
   * on the log is its only place. Lost before, the swarm could never admit a second node.
   */
  async rootKey(): Promise<string | undefined> {
    return this.#read(files.rootKey);
  }

  async saveRootKey(keyPem: string): Promise<void> {
    await this.#write(files.rootKey, keyPem, 0o600);
  }

  async forgetRootKey(): Promise<void> {
    await rm(this.#path(files.rootKey), { force: true });
  }

  /** One change of the key file at a time. */
  async #alone<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(act);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #keyFile(kek: Buffer | undefined = this.#kek): Promise<KeyFile | 'locked' | undefined> {
    const text = await this.#read(files.key);
    return text === undefined
      ? undefined
      : this.#understood(files.key, () => readKeyFile(text, kek));
  }

  async #opened(): Promise<KeyFile | undefined> {
    const file = await this.#keyFile();
    if (file !== 'locked') return file;
    throw new SwarmError('failed-precondition', 'node is locked, and needs a valid unlock key');
  }

  async #present(): Promise<KeyFile> {
    const file = await this.#opened();
    if (file === undefined) throw this.#wrong(`${files.key} is missing`);
    return file;
  }

  async #changeLogSecrets(
    change: (secrets: LogSecrets | undefined) => LogSecrets,
  ): Promise<LogSecrets> {
    return this.#alone(async () => {
      const file = await this.#present();
      const logSecrets = change(file.logSecrets);
      if (logSecrets !== file.logSecrets) await this.#writeKeyFile({ ...file, logSecrets });
      return logSecrets;
    });
  }

  async #writeKeyFile(file: KeyFile): Promise<void> {
    await this.#write(files.key, writeKeyFile(this.#random, file), 0o600);
    this.#kek = file.kek.key;
  }

  async #certificateOf(key: KeyObject): Promise<string> {
    const current = await this.#read(files.cert);
    if (current !== undefined && this.#understood(files.cert, () => fits(current, key))) {
      await rm(this.#path(files.nextCert), { force: true });
      return current;
    }
    const next = await this.#read(files.nextCert);
    if (next !== undefined && this.#understood(files.nextCert, () => fits(next, key))) {
      await this.#rename(files.nextCert, files.cert);
      return next;
    }
    throw this.#wrong(
      current === undefined ? `${files.cert} is missing` : `${files.cert} and ${files.key} differ`,
    );
  }

  async #read(name: FileName): Promise<string | undefined> {
    try {
      return await readFile(this.#path(name), 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw this.#wrong(`${name} cannot be read`, error);
    }
  }

  async #write(name: FileName, text: string, mode: number): Promise<void> {
    const temporary = this.#path(`.tmp-${name}`);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await rm(temporary, { force: true });
      const file = await open(temporary, 'wx', mode);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await chmod(temporary, mode);
      await rename(temporary, this.#path(name));
      await this.#syncDirectory();
    } catch (error) {
      throw this.#wrong(`${name} cannot be written`, error);
    }
  }

  async #rename(from: FileName, to: FileName): Promise<void> {
    await rename(this.#path(from), this.#path(to));
    await this.#syncDirectory();
  }

  async #syncDirectory(): Promise<void> {
    const directory = await open(this.#directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  #understood<T>(name: FileName, read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw this.#wrong(`${name}: ${messageOf(error)}`, error);
    }
  }

  #wrong(what: string, cause?: unknown): SwarmError {
    const why = codeOf(cause);
    return new SwarmError(
      'failed-precondition',
      `state directory ${this.#directory}: ${what}${why === undefined ? '' : ` (${why})`}`,
      { cause },
    );
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

const fits = (certPem: string, key: KeyObject): boolean =>
  spkiOf(certificatesOf(certPem)[0].publicKey).equals(spkiOf(createPublicKey(key)));

const firstSecrets = (random: Random): LogSecrets => ({
  current: newLogSecret(random),
  pending: undefined,
  needsRotation: false,
});

/** The name of a system's error: `ENOENT`. */
const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;

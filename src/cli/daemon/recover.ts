import { existsSync } from 'node:fs';
import { KeyStore, parseUnlockKey } from '../../ca/index.ts';
import {
  DamagedLog,
  diagnose,
  type Diagnosis,
  Irrecoverable,
  logKeysOf,
  rebuild,
  recoverLog,
  replaceLog,
  setAsideLog,
  verifiedOf,
} from '../../manager/index.ts';
import { type Clock, CryptoRandom, type Random, SwarmError } from '../../runtime/index.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import { StateDir } from './state-dir.ts';

interface RecoverOptions {
  readonly acceptsDataLoss: boolean;
  /** All other managers are lost: it goes on without them. */
  readonly forcesNewCluster: boolean;
  /** The other managers have what it has lost. */
  readonly rejoins: boolean;
  /** Where the daemon of this directory serves the Engine API: the log has a witness there. */
  readonly socketPath: string;
}

/**
 * Shows what is left of a manager's log, and does what is wanted: sets a damaged one aside and makes
 * a new one of what could be verified; makes this manager the only one; or has it join the others
 * anew with its next start.
 *
 * @throws SwarmError failed-precondition, if a daemon holds the directory, or there is nothing to
 *   recover; data-loss, if nothing is left
 */
export async function recover(
  path: string,
  { acceptsDataLoss, forcesNewCluster, rejoins, socketPath }: RecoverOptions,
  shell: Shell,
): Promise<void> {
  if (!existsSync(path)) throw new CommandFailure(`state directory ${path} does not exist`);
  using stateDir = await StateDir.hold(path, socketPath);
  const { managerLog } = stateDir;
  if (!managerLog.exists) throw new CommandFailure(`${path} is not a manager's state directory`);
  const keyStore = new KeyStore({ directory: stateDir.certificates, random: new CryptoRandom() });
  if (rejoins) {
    await rejoin(stateDir, keyStore, shell);
    return;
  }
  await unlocked(keyStore, shell);
  const keys = await logKeysIn(keyStore);
  const diagnosis = await diagnose(managerLog.path, keys, managerLog.outsideWitness);
  shell.out(reportOf(managerLog.path, diagnosis));
  try {
    if (forcesNewCluster) {
      const parts = { clock: shell.clock, random: new CryptoRandom(), stateDir };
      const outcome = await leaveOthersBehind(parts, { keys, diagnosis, acceptsDataLoss });
      shell.out(outcome === undefined ? onlyOne : outcomeOf(outcome));
      return;
    }
    if (!acceptsDataLoss) {
      if (diagnosis.problems.length > 0 && diagnosis.verified !== undefined) {
        const command = `${managerLog.recoverCommand} --accept-data-loss`;
        shell.out(`\nTo go on with what is certainly there, run:\n\n    ${command}\n`);
      }
      return;
    }
    const options = { diagnosis, now: shell.clock.now() };
    const { damaged } = await recoverLog(managerLog.path, keys, options);
    shell.out(`\nThe damaged log is kept as ${damaged}. The next start goes on with a new one.\n`);
  } catch (error) {
    throw withWaysOut(error, stateDir);
  }
}

/** Adds to what is wrong with a log the commands that lead on. Other errors stay as they are. */
export function withWaysOut(
  error: unknown,
  { path, managerLog: { recoverCommand } }: Pick<StateDir, 'path' | 'managerLog'>,
): unknown {
  const copy = `put back a copy of all of ${path} that was made while swarmd was stopped`;
  const anew = `if the swarm has other managers, have this one join them anew with "${recoverCommand} --rejoin"`;
  if (error instanceof DamagedLog) {
    const keep = `see what is left with "${recoverCommand}" and keep only that with "${recoverCommand} --accept-data-loss"`;
    return ledOn(error, `either ${copy}; or ${keep}; or, ${anew}`);
  }
  if (!(error instanceof Irrecoverable)) return error;
  if (error.code === 'data-loss') return ledOn(error, `either ${copy}; or, ${anew}`);
  const alone = `if the others are gone for good, go on without them with "${recoverCommand} --force-new-cluster --accept-data-loss"`;
  return ledOn(error, `${anew}; or, ${alone}`);
}

const ledOn = (error: SwarmError, ways: string): SwarmError =>
  new SwarmError(error.code, `${error.message}; to go on, ${ways}`, { cause: error });

/** What became of a manager that goes on alone. */
interface Alone {
  /** Where its log of old is now. */
  readonly aside: string;
  /** How many managers are not any more. */
  readonly leftBehind: number;
}

const onlyOne = '\nThis manager is the only one of its swarm: there is nobody to go on without.\n';

const outcomeOf = ({ aside, leftBehind }: Alone): string => `
This manager is the only one of its swarm from now on. The ${leftBehind === 1 ? 'other one is' : `${leftBehind} others are`} refused for ever as managers: should
they come back they are workers, and can be promoted again. The log of old is kept as
${aside}.

Start it again with swarmd manager; if its address is another one now, start the workers once with
swarmd worker --join HOST:PORT.
`;

/**
 * Makes a manager that does not run the only one of its swarm, which goes on with what its log
 * holds. Nobody else may hold the state directory.
 *
 * @returns `undefined`, if it is the only one already: nothing has changed
 * @throws SwarmError failed-precondition, if the log holds no swarm; data-loss, if it is damaged and
 *   that is not accepted, or nothing is left of it: nothing has changed
 */
export async function goOnAlone({
  keyStore,
  ...parts
}: Parts & { readonly keyStore: KeyStore }): Promise<Alone | undefined> {
  const { managerLog } = parts.stateDir;
  const keys = await logKeysIn(keyStore);
  const diagnosis = await diagnose(managerLog.path, keys, managerLog.outsideWitness);
  try {
    return await leaveOthersBehind(parts, { keys, diagnosis, acceptsDataLoss: false });
  } catch (error) {
    throw withWaysOut(error, parts.stateDir);
  }
}

interface Parts {
  readonly clock: Clock;
  readonly random: Random;
  readonly stateDir: StateDir;
}

async function leaveOthersBehind(
  { clock, random, stateDir: { managerLog } }: Parts,
  {
    keys,
    diagnosis,
    acceptsDataLoss,
  }: {
    readonly keys: LogKeys | undefined;
    readonly diagnosis: Diagnosis;
    readonly acceptsDataLoss: boolean;
  },
): Promise<Alone | undefined> {
  const { identity, verified } = verifiedOf(managerLog.path, diagnosis);
  if (diagnosis.problems.length > 0 && !acceptsDataLoss) {
    throw new SwarmError(
      'data-loss',
      `raft log is damaged: see what is left with "${managerLog.recoverCommand}", and go on with only that with "${managerLog.recoverCommand} --force-new-cluster --accept-data-loss"`,
    );
  }
  const next = await rebuild({ clock, random }, { identity, log: verified });
  if (next === undefined) return undefined;
  managerLog.leaveBehind(next.leftBehind);
  const aside = await replaceLog(managerLog.path, keys, { diagnosis, next, now: clock.now() });
  return { aside, leftBehind: next.leftBehind.length };
}

/** What became of the log is the others' to know: this manager loses its vote before it joins. */
async function rejoin(stateDir: StateDir, keyStore: KeyStore, shell: Shell): Promise<void> {
  const { managerLog, path } = stateDir;
  const nodeId = await keyStore.nodeId();
  const managers = stateDir.readState()?.managers ?? [];
  if (!managers.some((manager) => manager.nodeId !== nodeId)) {
    throw new CommandFailure(`${path} knows of no other manager that this one could join`);
  }
  const aside = await setAsideLog(managerLog.path, shell.clock.now());
  managerLog.forgetOutside();
  if (aside !== undefined) shell.out(`The log is kept as ${aside}.\n`);
  shell.out(
    'With its next start this manager joins the others anew, and gets all that they have.\n',
  );
}

/** Opens a manager that is locked. */
async function unlocked(keyStore: KeyStore, shell: Shell): Promise<void> {
  if (!(await keyStore.isLocked())) return;
  const key = parseUnlockKey(await shell.secret('Enter unlock key: '));
  if (!(await keyStore.unlock(key))) {
    throw new CommandFailure('swarm could not be unlocked: invalid key provided');
  }
}

type LogKeys = ReturnType<typeof logKeysOf>;

async function logKeysIn(keyStore: KeyStore): Promise<LogKeys | undefined> {
  const secrets = await keyStore.knownLogSecrets();
  return secrets && logKeysOf(secrets);
}

function reportOf(path: string, diagnosis: Diagnosis): string {
  const { problems, verified, acknowledged } = diagnosis;
  const last = verified?.entries.at(-1) ?? verified?.before;
  const there =
    last === undefined
      ? 'nothing'
      : `everything up to index ${last.index} of term ${last.term}` +
        (verified?.snapshot === undefined
          ? ''
          : `, from a snapshot of index ${verified.snapshot.index}`);
  const lines = [
    `Raft log:         ${path}`,
    `State:            ${problems.length === 0 ? 'intact' : 'damaged'}`,
    ...problems.map((problem) => `                  - ${problem}`),
    `Certainly there:  ${there}`,
    acknowledged === undefined
      ? 'Acknowledged:     not known'
      : `Acknowledged:     everything up to index ${acknowledged.lastIndex} of term ${acknowledged.lastTerm}`,
    `May be missing:   ${missingOf(diagnosis)}`,
  ];
  return `${lines.join('\n')}\n`;
}

function missingOf({ verified, acknowledged }: Diagnosis): string {
  const last = verified?.entries.at(-1)?.index ?? verified?.before.index ?? 0;
  if (acknowledged === undefined) return 'whatever was acknowledged after that';
  const count = acknowledged.lastIndex - last;
  if (count <= 0) return 'nothing';
  return `${count} ${count === 1 ? 'entry' : 'entries'}`;
}

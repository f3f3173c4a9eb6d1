import { readFileSync } from 'node:fs';
import { messageOf } from '../../runtime/index.ts';
import { clientFor } from '../client.ts';
import type { Call, Command, Flag } from '../command.ts';
import type { SwarmObject } from '../engine-types.ts';
import { parseDuration } from '../output/units.ts';
import { CommandFailure, InvalidValue, type Shell } from '../shell.ts';
import { waitForRotation } from './root-rotation.ts';

const flags = {
  rotate: {
    kind: 'switch',
    describe: 'Rotate the swarm CA: to a new one, if no certificate and key are given',
  },
  'ca-cert': { kind: 'text', describe: 'Path to the PEM-formatted root CA certificate to use' },
  'ca-key': { kind: 'text', describe: 'Path to the PEM-formatted root CA key to use' },
  'cert-expiry': {
    kind: 'text',
    describe: 'Validity period for node certificates (ns|us|ms|s|m|h)',
    shown: '2160h0m0s',
  },
  detach: { kind: 'switch', alias: 'd', describe: 'Exit at once, do not wait for the rotation' },
  quiet: { kind: 'switch', alias: 'q', describe: 'Suppress progress output' },
} as const satisfies Readonly<Record<string, Flag>>;

async function ca(call: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  if (call.flags.switch('rotate') !== true) {
    const [needless] = ['ca-cert', 'ca-key', 'cert-expiry'].filter((name) => call.flags.has(name));
    if (needless !== undefined) {
      throw new CommandFailure(
        `\`--${needless}\` flag requires the \`--rotate\` flag to update the CA`,
      );
    }
    showRoot(await client.get<SwarmObject>('/swarm'), shell);
    return;
  }
  const caConfig = wantedCa(call);
  const swarm = await client.get<SwarmObject>('/swarm');
  await client.post('/swarm/update', {
    query: { version: swarm.Version?.Index ?? 0 },
    body: { ...swarm.Spec, CAConfig: caConfig(swarm.Spec['CAConfig'] ?? {}) },
  });
  if (call.flags.switch('detach') === true) return;
  await waitForRotation(client, { isQuiet: call.flags.switch('quiet') === true }, shell);
  if (!shell.signal.aborted) showRoot(await client.get<SwarmObject>('/swarm'), shell);
}

/** The CA that is asked for, laid over the present settings: a given one, or just another. */
function wantedCa({ flags: given }: Call): (present: { readonly ForceRotate?: number }) => object {
  const cert = contentOf('ca-cert', given.text('ca-cert'));
  const key = contentOf('ca-key', given.text('ca-key'));
  if (cert !== undefined && key === undefined) {
    throw new CommandFailure(
      'the --ca-cert flag requires that a --ca-key flag be provided: external CAs are not supported yet',
    );
  }
  const expiry = given.read(
    'cert-expiry',
    parseDuration,
    'it is a duration such as 90s, 5m or 2160h',
  );
  return (present) => ({
    ...present,
    ...(expiry === undefined ? {} : { NodeCertExpiry: expiry }),
    ...(cert === undefined && key === undefined
      ? { ForceRotate: (present.ForceRotate ?? 0) + 1 }
      : { SigningCACert: cert ?? '', SigningCAKey: key ?? '' }),
  });
}

function contentOf(flag: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    const text = readFileSync(path, 'utf8');
    if (!/-----BEGIN [A-Z0-9 ]+-----/u.test(text)) throw new Error('file contents must be in PEM');
    return text;
  } catch (error) {
    throw new InvalidValue(flag, path, messageOf(error));
  }
}

function showRoot({ TLSInfo }: SwarmObject, shell: Shell): void {
  if (TLSInfo?.TrustRoot === undefined) throw new CommandFailure('no CA information available');
  shell.out(TLSInfo.TrustRoot.endsWith('\n') ? TLSInfo.TrustRoot : `${TLSInfo.TrustRoot}\n`);
}

/** `swarm ca`: shows the root that the nodes of the swarm trust, and rotates it. */
export const caCommand: Command = {
  words: 'swarm ca',
  usage: '[OPTIONS]',
  args: { min: 0, max: 0 },
  summary: 'Display and rotate the root CA',
  example: 'swarmd swarm ca --rotate',
  flags,
  run: ca,
};

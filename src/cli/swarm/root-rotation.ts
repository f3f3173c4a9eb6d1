import { createHash } from 'node:crypto';
import type { EngineClient } from '../client.ts';
import type { NodeObject, SwarmObject } from '../engine-types.ts';
import type { Shell } from '../shell.ts';

const pollMs = 200;

/** How far a swarm is with the rotation of its root. docker/cli cli/command/swarm/progress */
function rotationProgress(
  { TLSInfo: wanted = {}, RootRotationInProgress = false }: SwarmObject,
  nodes: readonly NodeObject[],
): { readonly lines: readonly string[]; readonly isDone: boolean } {
  const root = wanted.TrustRoot ?? '';
  const held = nodes.map(({ Description }) => Description?.TLSInfo ?? {});
  const issued = held.filter(
    ({ CertIssuerPublicKey, CertIssuerSubject }) =>
      CertIssuerPublicKey === wanted.CertIssuerPublicKey &&
      CertIssuerSubject === wanted.CertIssuerSubject,
  ).length;
  // The root that is wanted is the old one until the rotation is complete.
  const rotated = RootRotationInProgress ? nodes.length - issued : issued;
  const trusting = RootRotationInProgress
    ? 0
    : held.filter(({ TrustRoot }) => TrustRoot === root).length;
  return {
    lines: [
      `desired root digest: sha256:${createHash('sha256').update(root).digest('hex')}`,
      `  rotated TLS certificates: ${rotated}/${nodes.length} nodes`,
      `  rotated CA certificates: ${trusting}/${nodes.length} nodes`,
    ],
    isDone: !RootRotationInProgress && issued === nodes.length && trusting === nodes.length,
  };
}

/**
 * Shows how a root rotation goes on, and returns once every node has its new certificate and trusts
 * the new root. On Ctrl-C it returns at once, and the swarm goes on.
 */
export async function waitForRotation(
  client: EngineClient,
  { isQuiet }: { readonly isQuiet: boolean },
  shell: Shell,
): Promise<void> {
  let shown: readonly string[] = [];
  const show = (lines: readonly string[]): void => {
    if (isQuiet) return;
    if (shell.isTerminal) {
      const up = shown.length === 0 ? '' : `\u001B[${shown.length}A`;
      shell.out(up + lines.map((line) => `\u001B[2K${line}\n`).join(''));
    } else {
      for (const line of lines) if (!shown.includes(line)) shell.out(`${line}\n`);
    }
    shown = lines;
  };
  try {
    for (;;) {
      const [swarm, nodes] = await Promise.all([
        client.get<SwarmObject>('/swarm'),
        client.list<NodeObject>('/nodes'),
      ]);
      const { lines, isDone } = rotationProgress(swarm, nodes);
      show(lines);
      if (isDone) return;
      await shell.clock.sleep(pollMs, shell.signal);
    }
  } catch (error) {
    if (!shell.signal.aborted) throw error;
    shell.out(
      'Operation continuing in background.\nUse `swarmd system info` to see whether it is in progress.\n',
    );
  }
}

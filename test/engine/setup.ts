import type { TestProject } from 'vitest/node';
import { whyNoPrivateEngine } from '../../scripts/lib/private-engine.mjs';
import { whyNoStandIn } from '../../scripts/lib/stand-in-image.mjs';
import { startDockerDaemon } from '../support/docker-daemon.ts';

/** The Engine that all tests of a run share. */
export interface SharedEngine {
  readonly dockerHost: string;
  /** Where its published ports are found. */
  readonly address: string;
  /** Where it finds this machine. It trusts a registry there. */
  readonly registryHost: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** The shared Engine, or why there is none. */
    engine: SharedEngine | string;
  }
}

/** Starts the shared Engine before the first test; what it returns ends it after the last. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const why = whyNoPrivateEngine() ?? whyNoStandIn();
  if (why !== undefined) {
    const message = `no Docker Engine can be started here: ${why}`;
    process.stderr.write(`\nThe tests against a real Engine are skipped: ${message}\n\n`);
    project.provide('engine', message);
    return async () => undefined;
  }
  const daemon = await startDockerDaemon({
    args: ['--insecure-registry=10.213.0.0/16'],
    images: [
      'busybox:latest',
      'hold:latest',
      ...['latest', '1.24', '1.25', 'healthy'].map((tag) => `nginx:${tag}`),
    ],
  });
  const { dockerHost, address, machineAddress } = daemon;
  project.provide('engine', { dockerHost, address, registryHost: machineAddress });
  return async () => daemon.stop();
}

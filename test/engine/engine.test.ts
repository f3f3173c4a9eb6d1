import { describe } from 'vitest';
import { SystemClock } from '../../src/runtime/index.ts';
import { DockerEngine } from '../../src/worker/docker/engine.ts';
import { describeEngine } from '../compliance/engine.ts';
import { sharedEngine } from '../support/shared-engine.ts';

const shared = sharedEngine();

describe.skipIf(shared === undefined)('a Docker Engine', () => {
  describeEngine(
    'the real one',
    () => new DockerEngine({ clock: new SystemClock() }, shared?.dockerHost),
  );
});

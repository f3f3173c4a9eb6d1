// npm run torture -- --flips N --kills N --seed S: spoils a manager's files, fills its disk and kills
// its process, as often as it is told.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { join } from 'node:path';
import { root } from './lib/prerequisites.mjs';

const { values } = parseArgs({
  options: {
    flips: { type: 'string', default: '10000' },
    kills: { type: 'string', default: '1000' },
    seed: { type: 'string' },
  },
});

const { status } = spawnSync(
  join(root, 'node_modules/.bin/vitest'),
  ['run', '--project', 'unit', 'test/torture'],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      TORTURE_FLIPS: values.flips,
      TORTURE_KILLS: values.kills,
      ...(values.seed === undefined ? {} : { TORTURE_SEED: values.seed }),
    },
  },
);
process.exitCode = status ?? 1;

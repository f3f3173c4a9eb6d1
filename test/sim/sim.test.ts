import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const root = new URL('../../', import.meta.url);
const script = new URL('scripts/sim.mjs', root).pathname;

/** What `npm run sim` says in the end, and whether it was content. */
async function simulate(...flags: readonly string[]): Promise<{ code: unknown; said: string }> {
  try {
    const { stdout } = await run(process.execPath, [script, ...flags]);
    return { code: 0, said: stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    return { code, said: stdout + stderr };
  }
}

test('swarms of a hundred nodes keep every promise, whatever happens to them', async () => {
  const { code, said } = await simulate('--seeds', '300');
  expect({ code, said }).toMatchObject({ code: 0 });
});

test('everything that is rare happens to small swarms, and a planted bug is found', async () => {
  const size = ['--seeds', '60', '--agents', '12'];
  const { code, said } = await simulate(...size, '--need-marks', '--need-canary');
  expect({ code, said }).toMatchObject({ code: 0 });
});

test('managers come, go, fail and are cut off, and agree', async () => {
  const size = ['--managers', '3', '--agents', '3'];
  const { code, said } = await simulate('--seeds', '20', ...size, '--need-marks');
  expect({ code, said }).toMatchObject({ code: 0 });
});

test.each([
  ['5', '4'],
  ['7', '2'],
])('%s managers do so, too', async (managers, seeds) => {
  const size = ['--managers', managers, '--agents', '3'];
  const { code, said } = await simulate('--seeds', seeds, ...size);
  expect({ code, said }).toMatchObject({ code: 0 });
});

test('every planted bug still finds the line that it spoils', () => {
  const bugs = JSON.parse(
    readFileSync(new URL('test/sim/bugs/bugs.json', root), 'utf8'),
  ) as readonly { readonly name: string; readonly file: string; readonly line: string }[];
  const lost = bugs.filter(
    ({ file, line }) => readFileSync(new URL(file, root), 'utf8').split(line).length !== 2,
  );
  expect(lost.map(({ name }) => name)).toEqual([]);
});

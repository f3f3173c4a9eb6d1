import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Switch, whyNoSwitch } from '../../chaos/switch.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { differences } from './differences.ts';
import { readScript } from './script.ts';
import { Side } from './sides.ts';

/** In this order: each begins where the one before it ended. */
const scripts = [
  'join',
  'tutorial',
  'nodes',
  'service-errors',
  'services',
  'updates',
  'scheduling',
  'restarts',
  'secrets-and-logs',
];

const isPossible = sharedEngine() !== undefined && whyNoSwitch() === undefined;
const met = new Set<string>();

/** What swarmd is to say where stock says this. */
function expected(line: string, stock: string): string {
  let text = stock;
  for (const { matter, stock: pattern, swarmd, at = '' } of differences) {
    if (!line.includes(at)) continue;
    const changed = text.replace(pattern, swarmd);
    if (changed !== text) met.add(matter);
    text = changed;
  }
  return text;
}

describe.skipIf(!isPossible)('the docker CLI in a stock swarm and in ours', () => {
  let network: Switch;
  let sides: readonly Side[] = [];

  beforeAll(async () => {
    network = await Switch.create();
    const started = [false, true].map(async (ours) => Side.start(network, { ours }));
    sides = await Promise.all(started);
  });

  afterAll(async () => {
    for (const side of sides) await side[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  test.each(scripts)(
    '%s: both say the same, but for what is meant to differ',
    { timeout: 240_000 },
    async (name) => {
      const steps = readScript(name);
      const [stock = [], ours = []] = await Promise.all(
        sides.map(async (side) => {
          const answers: string[] = [];
          for (const step of steps) answers.push((await side.take(step)) ?? '');
          return answers;
        }),
      );
      const transcript = (answers: readonly string[]): string =>
        steps.map(({ line }, index) => `${line}\n${answers[index] ?? ''}`).join('\n\n');
      const wanted = steps.map(({ line }, index) => expected(line, stock[index] ?? ''));
      expect(transcript(ours)).toBe(transcript(wanted));
    },
  );

  test('every difference that is meant was met', () => {
    expect(differences.map(({ matter }) => matter).filter((matter) => !met.has(matter))).toEqual(
      [],
    );
  });

  test('no daemon has complained', () => {
    expect(sides.flatMap(({ daemons }) => daemons.flatMap(({ complaints }) => complaints))).toEqual(
      [],
    );
  });
});

test('every difference that is meant is in the documentation', () => {
  const page = new URL('../../../docs/compatibility.md', import.meta.url);
  const text = readFileSync(page, 'utf8').replaceAll(/ +/gu, ' ');
  const rows = differences.map(({ matter, why }) => `| ${matter} | ${why} |`);
  expect(rows.filter((row) => !text.includes(row))).toEqual([]);
});

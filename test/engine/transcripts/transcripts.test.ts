import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SystemClock } from '../../../src/runtime/index.ts';
import { Switch, whyNoSwitch } from '../../chaos/switch.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { differences } from './differences.ts';
import { readScript, type Step } from './script.ts';
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

const clock = new SystemClock();

/** Two swarms that were told the same are at rest within this; a stock one may take seconds. */
const restMs = 20_000;
const lookMs = 250;

/** What both are to say to a step, by what the stock side said, and what ours says. */
interface Answers {
  readonly wanted: string;
  readonly ours: string;
}

/**
 * Takes a step on both sides, neither of which goes on before the other has come as far. What is
 * seen on the way is chance, there and here: a step that waits for rest is taken until both agree.
 */
async function take(sides: readonly Side[], step: Step): Promise<Answers> {
  const { signal } = new AbortController();
  const deadline = clock.monotonic() + (step.kind.name === 'settle' ? restMs : 0);
  for (;;) {
    const said = await Promise.all(sides.map(async (side) => side.take(step)));
    const [stock = '', ours = ''] = said;
    const wanted = expected(step.line, stock);
    if (wanted === ours || clock.monotonic() >= deadline) return { wanted, ours };
    await clock.sleep(lookMs, signal);
  }
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
      const wanted: string[] = [];
      const ours: string[] = [];
      for (const step of readScript(name)) {
        const answers = await take(sides, step);
        wanted.push(`${step.line}\n${answers.wanted}`);
        ours.push(`${step.line}\n${answers.ours}`);
      }
      expect(ours.join('\n\n')).toBe(wanted.join('\n\n'));
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

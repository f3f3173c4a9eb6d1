import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { replay } from '../trace/replay.ts';

const tracesIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.txt'))
    .toSorted();

describe('our own scenarios: the core answers as recorded', () => {
  const directory = import.meta.dirname;
  test.each(tracesIn(directory))('%s', (path) => {
    const { cases, agreed, skipped, difference } = replay(
      readFileSync(join(directory, path), 'utf8'),
    );
    expect(difference).toBeUndefined();
    expect(skipped).toBeUndefined();
    expect(agreed).toBe(cases);
  });
});

/** A folder of traces that are not ours to keep, as etcd's. */
const others = process.env['RAFT_TRACES'];

describe.skipIf(others === undefined)('the traces of RAFT_TRACES: the core differs in none', () => {
  const directory = others ?? '';
  test.each(directory === '' ? [] : tracesIn(directory))('%s', (path) => {
    const { difference } = replay(readFileSync(join(directory, path), 'utf8'));
    expect(difference).toBeUndefined();
  });
});

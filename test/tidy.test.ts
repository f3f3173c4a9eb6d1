import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

/** Which rooms a room may enter. A room not listed here does not exist. */
const mayEnter: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  api: ['runtime'],
  raft: ['api', 'runtime'],
  ca: ['api', 'runtime'],
  scheduler: ['api', 'runtime'],
  worker: ['api', 'runtime'],
  manager: ['api', 'runtime', 'raft', 'ca', 'scheduler'],
  cli: ['api', 'runtime', 'ca', 'worker', 'manager'],
};

/** The generated types of the wire: the one other door, for types alone. */
const wireTypes = 'api/gen/types.ts';

/** Rooms inside the manager that answer or react. None imports another: they meet in the store. */
const managerSiblings = [
  'control',
  'dispatcher',
  'authority',
  'orchestrator',
  'allocator',
  'roles',
] as const;

/** Each third-party package enters the house through these files alone. */
const homeOf: Readonly<Record<string, RegExp>> = {
  pino: /^runtime\/log\.ts$/,
  '@grpc/proto-loader': /^api\/(schema|grpc-client)\.ts$/,
  '@grpc/grpc-js': /^(api\/(grpc-client|status)\.ts|raft\/transport\/.*|manager\/grpc\/.*)$/,
  'node-forge': /^ca\/der\.ts$/,
  dockerode: /^(worker\/docker\/engine|cli\/client)\.ts$/,
  yargs: /^cli\//,
  level: /^(raft\/storage\/.*|worker\/task-store\.ts)$/,
};

/** Files that decide and do nothing else: no Node, no clock, no chance, no waiting. */
const pure = [
  /^raft\/core\//,
  /^scheduler\//,
  /^manager\/http\/convert\//,
  /^manager\/(orchestrator|allocator|roles)\/(.*\/)?(slots|plan-.*)\.ts$/,
  /^manager\/dispatcher\/assignment-set\.ts$/,
  /^worker\/docker\/container-config\.ts$/,
  /^api\/(task-state|time|resources|template|defaults)\.ts$/,
];

const root = new URL('../src', import.meta.url).pathname;
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith('api/gen/'))
  .toSorted();
const sourceOf = (path: string): string => readFileSync(join(root, path), 'utf8');

function importsOf(path: string): string[] {
  return [
    ...sourceOf(path).matchAll(
      /^(?:import|export)[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gmu,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

const localImports = (path: string): string[] =>
  importsOf(path)
    .filter((target) => target.startsWith('.'))
    .map((target) => relative(root, join(root, dirname(path), target)));

const shelfOf = (path: string): string | undefined =>
  managerSiblings.find((name) => path.startsWith(`manager/${name}/`));

describe('the house', () => {
  test('every file stands in a known room', () => {
    expect(files.filter((path) => mayEnter[path.split('/')[0] ?? ''] === undefined)).toEqual([]);
  });

  test('signals are listened to in one place', () => {
    const listening = files.filter((path) => sourceOf(path).includes("addEventListener('abort'"));
    expect(listening).toEqual(['runtime/abort.ts']);
  });

  test('a room enters only the rooms below it, by their front door', () => {
    const trespasses = files.flatMap((path) =>
      localImports(path)
        .filter((target) => {
          const [from = '', to = ''] = [path.split('/')[0], target.split('/')[0]];
          if (from === to) return target === `${to}/index.ts`;
          const isDoor = target === `${to}/index.ts` || target === wireTypes;
          return !(mayEnter[from]?.includes(to) ?? false) || !isDoor;
        })
        .map((target) => `${path} -> ${target}`),
    );
    expect(trespasses).toEqual([]);
  });

  test('the parts of the manager meet in the store and nowhere else', () => {
    const trespasses = files.flatMap((path) =>
      localImports(path)
        .filter((target) => {
          const [from, to] = [shelfOf(path), shelfOf(target)];
          return from !== undefined && to !== undefined && from !== to;
        })
        .map((target) => `${path} -> ${target}`),
    );
    expect(trespasses).toEqual([]);
  });

  test('a third-party package is imported only where it lives', () => {
    const strays = files.flatMap((path) =>
      importsOf(path)
        .filter((target) => homeOf[target]?.test(path) === false)
        .map((target) => `${path} -> ${target}`),
    );
    expect(strays).toEqual([]);
  });

  test('what decides touches neither Node nor the clock', () => {
    const impure = files
      .filter((path) => pure.some((pattern) => pattern.test(path)))
      .filter((path) =>
        /from 'node:|\basync\b|\bDate\.now|new Date\(\)|Math\.random/u.test(sourceOf(path)),
      );
    expect(impure).toEqual([]);
  });

  test('a folder holds at most twelve files', () => {
    const counts = new Map<string, number>();
    for (const path of files) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > 12)).toEqual([]);
  });
});

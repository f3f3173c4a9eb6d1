import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { whyNoPrivateEngine } from '../../scripts/lib/private-engine.mjs';
import { whyNoStandIn } from '../../scripts/lib/stand-in-image.mjs';
import { runCommand } from '../support/run-command.ts';
import { runChaos } from './run.ts';
import { scheduleOf } from './schedule.ts';
import { whyNoSwitch } from './switch.ts';

const why = whyNoPrivateEngine() ?? whyNoStandIn() ?? whyNoSwitch();
if (why !== undefined) process.stderr.write(`\nNo chaos here: ${why}\n\n`);
const shape = { managers: 3, workers: 2 };

describe('a schedule', () => {
  test('is the same for a seed, another for another, and makes every fault in time', () => {
    const steps = scheduleOf(1, 600_000, shape);
    expect(scheduleOf(1, 600_000, shape)).toEqual(steps);
    expect(scheduleOf(2, 600_000, shape)).not.toEqual(steps);
    expect(new Set(steps.map(({ fault }) => fault)).size).toBe(8);
    expect(new Set(steps.map(({ victim }) => victim)).size).toBe(3);
  });
});

/** What is on this machine of the clusters of a process: namespaces, links, files, processes. */
async function tracesOf(pid: number): Promise<readonly string[]> {
  const { stdout } = await runCommand('ip', ['netns', 'list'], { env: process.env });
  const switches = stdout.split('\n').filter((line) => line.startsWith(`chaos-${pid}`));
  const engines = readdirSync(tmpdir())
    .filter((name) => name.startsWith('eng-') && ownerOf(name) === String(pid))
    .flatMap((name) => [name, ...mentions(name)]);
  return [...switches, ...engines];
}

function ownerOf(engine: string): string {
  try {
    return readFileSync(`${tmpdir()}/${engine}/owner`, 'utf8');
  } catch {
    return ''; // It is just being removed.
  }
}

/** Mounts and network namespaces that name an Engine's directory. */
function mentions(engine: string): readonly string[] {
  const namespace = engine.replaceAll('-', '').toLowerCase();
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(engine) || line.includes(namespace));
}

describe.skipIf(why !== undefined)('a swarm of three managers and two workers', () => {
  test('keeps its promises through a minute of faults, and leaves nothing behind', async () => {
    const report = await runChaos({ ...shape, seed: 1, forMs: 45_000 });
    expect(report.answered).toBeGreaterThan(0);
    expect(await tracesOf(process.pid)).toEqual([]);
  });

  test('leaves nothing behind when it is interrupted', async () => {
    const main = new URL('main.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--import', 'tsx', main, '--managers', '1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    const ended = new Promise((resolve) => child.on('close', resolve));
    const running = new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
        if (printed.includes('the services run')) resolve();
      });
    });
    await Promise.race([running, ended]);
    const { pid = 0 } = child;
    const interrupted = await tracesOf(pid);
    child.kill('SIGINT');
    const code = await ended;
    expect(printed).toContain('ended, and nothing is left');
    expect(code).toBe(130);
    expect(interrupted.length).toBeGreaterThan(3);
    expect(await tracesOf(pid)).toEqual([]);
  });
});

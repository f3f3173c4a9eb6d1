// npm run chaos -- --minutes M --seed S --managers N --workers N: faults in a swarm of real daemons
// and Engines on this machine, and a look at whether it kept its promises. See docs/testing.md.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ensureBuilt, ensureEngine, root } from './lib/prerequisites.mjs';

ensureBuilt();
const { whyNoPrivateEngine } = await import('./lib/private-engine.mjs');
const whyNot = ensureEngine() ?? whyNoPrivateEngine();
if (whyNot !== undefined) {
  console.error(`there can be no chaos here: ${whyNot}`);
  process.exit(1);
}
const child = spawn(
  process.execPath,
  ['--import', 'tsx', join(root, 'test/chaos/main.ts'), ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit' },
);
// Ctrl-C reaches the child by itself; it cleans up and ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});

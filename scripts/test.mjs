// npm test: everything that holds the project's promises on this machine, layer by layer, and in
// the last lines what was not run and why.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureCompose, ensureEngine, root } from './lib/prerequisites.mjs';

ensureBuilt();
const noEngine = ensureEngine();
ensureCompose();
const { whyNoPrivateEngine } = await import('./lib/private-engine.mjs');
const whyNot = noEngine ?? whyNoPrivateEngine();

/** Each check of the source, as npm runs it. */
const checks = ['types', 'lint', 'format:check', 'dead'];
const projects = whyNot === undefined ? ['unit', 'sim', 'engine', 'chaos'] : ['unit', 'sim'];

const total = { passed: 0, failed: 0, skipped: 0 };
for (const check of checks) {
  const { status } = spawnSync('npm', ['run', '--silent', check], { cwd: root, stdio: 'inherit' });
  total[status === 0 ? 'passed' : 'failed'] += 1;
  console.log(`${status === 0 ? '✓' : '✗'} ${check}`);
}

const results = mkdtempSync(join(tmpdir(), 'swarmd-test-'));
for (const project of projects) {
  const file = join(results, `${project}.json`);
  const { status } = spawnSync(
    join(root, 'node_modules/.bin/vitest'),
    ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile=${file}`],
    { cwd: root, stdio: 'inherit' },
  );
  const counted = countOf(file);
  total.passed += counted.passed;
  total.skipped += counted.skipped;
  // A run that broke outside its tests has failed too.
  total.failed += counted.failed === 0 && status !== 0 ? 1 : counted.failed;
}
rmSync(results, { recursive: true, force: true });

if (whyNot !== undefined) {
  console.log(`\nNot run: the tests against a real Docker Engine, because ${whyNot}.`);
  total.skipped += 1;
}
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed === 0 ? 0 : 1;

function countOf(file) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
      readFileSync(file, 'utf8'),
    );
    return {
      passed: numPassedTests,
      failed: numFailedTests,
      skipped: numPendingTests + numTodoTests,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

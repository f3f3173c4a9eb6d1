// npm run sim: swarms simulated from seeds, and what became of them.
//   npm run sim -- --seeds 300 --from 1 [--managers 1] [--agents 100] [--minutes 5] [--processes 2]
//   npm run sim -- --seeds 1 --from 17 --verbose         every line that anybody logs
//   npm run sim -- --seeds 1 --from 17 --plan plan.json  with the faults and deeds of a file
//   npm run sim -- --bugs [--only name]                  each planted bug must be found
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { bundle, Worker } from './lib/simulation.mjs';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    from: { type: 'string', default: '1' },
    managers: { type: 'string', default: '1' },
    agents: { type: 'string', default: '100' },
    minutes: { type: 'string', default: '5' },
    processes: { type: 'string', default: '2' },
    plan: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    hashes: { type: 'boolean', default: false },
    'need-marks': { type: 'boolean', default: false },
    'need-canary': { type: 'boolean', default: false },
    bugs: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const size = {
  managers: Number(values.managers),
  agents: Number(values.agents),
  minutes: Number(values.minutes),
};
const from = Number(values.from);
const count = Number(values.seeds);
const plan = values.plan === undefined ? undefined : JSON.parse(readFileSync(values.plan, 'utf8'));
const sizeFlags = `--managers ${size.managers} --agents ${size.agents} --minutes ${size.minutes}`;

/** So many seeds are to show what one in six or so does. */
const seedsForSeldom = 60;

process.exitCode = values.bugs ? await huntBugs() : await runSeeds();

async function runSeeds() {
  const file = await bundle('product');
  const startedAt = performance.now();
  const outcomes = [];
  const broken = [];
  const seen = new Map();
  const differing = [];
  let next = from;
  const work = async () => {
    const worker = new Worker(file);
    for (let seed = next++; seed < from + count; seed = next++) {
      const job = { kind: 'run', seed: String(seed), size, plan, isLoud: values.verbose };
      const outcome = await worker.do(job);
      outcomes.push(outcome);
      for (const mark of outcome.marks) seen.set(mark, (seen.get(mark) ?? 0) + 1);
      if (outcome.violation !== undefined) broken.push(outcome);
      if (values.hashes || count <= 20 || outcome.violation) console.log(lineOf(outcome));
      // One in a hundred is run again: the same seed is the same history.
      if (seed % 100 === 0 && (await worker.do(job)).hash !== outcome.hash) differing.push(seed);
    }
    worker.end();
  };
  await Promise.all(Array.from({ length: Number(values.processes) }, work));
  const wallMs = performance.now() - startedAt;

  const { names, seldom } = await once(file, { kind: 'marks', size });
  const missed = names.filter((name) => !seen.has(name));
  if (count > 1) {
    for (const name of names) console.log(`${String(seen.get(name) ?? 0).padStart(6)}  ${name}`);
  }
  const virtualMs = outcomes.reduce((sum, one) => sum + one.virtualMs, 0);
  const cpuMs = outcomes.reduce((sum, one) => sum + one.cpuMs, 0);
  const events = outcomes.reduce((sum, one) => sum + one.events, 0);
  console.log(
    `${outcomes.length} seeds, ${broken.length} violations, ${events} events; ` +
      `${(virtualMs / 60_000).toFixed(0)} virtual minutes in ${(wallMs / 1_000).toFixed(1)} s: ` +
      `${(virtualMs / wallMs).toFixed(0)} × real time, ${(virtualMs / cpuMs).toFixed(0)} × per core; ` +
      `${names.length - missed.length} of ${names.length} marks`,
  );
  const sum = (name) => outcomes.reduce((total, one) => total + one[name], 0);
  if (size.managers > 1) {
    console.log(
      `${sum('promotions')} managers were added, and ${sum('removals')} removed; ` +
        `${sum('departures')} nodes were removed, ${sum('rebuilds')} swarms rebuilt`,
    );
  }
  for (const seed of differing) console.log(`seed ${seed} had two histories`);
  if (broken[0] !== undefined) await explain(file, broken[0]);
  const isDead = values['need-canary'] && !(await canarySings());
  if (isDead) console.log('the canary was not heard: a planted bug is not found any more');
  // What is seldom is wanted of long runs alone.
  const wanted = missed.filter((name) => count >= seedsForSeldom || !seldom.includes(name));
  const isBlind = values['need-marks'] && wanted.length > 0;
  if (isBlind) console.log(`never seen:\n  ${wanted.join('\n  ')}`);
  return broken.length > 0 || differing.length > 0 || isBlind || isDead ? 1 : 0;
}

function lineOf({ seed, hash, events, cpuMs, violation }) {
  const line = `seed ${seed}  ${hash}  ${events} events  ${cpuMs.toFixed(0)} ms`;
  if (violation === undefined) return line;
  return `${line}\n  ${violation.rule}, at ${violation.at.toFixed(1)} ms: ${violation.message}`;
}

/** A failing seed: how to run it again, and a short plan that breaks the same rule. */
async function explain(file, { seed, violation }) {
  console.log(`\nto run it again:  npm run sim -- --seeds 1 --from ${seed} ${sizeFlags} --verbose`);
  const { plan: short, runs } = await once(file, {
    kind: 'shrink',
    seed,
    size,
    plan,
    rule: violation.rule,
  });
  const path = `dist/sim/seed-${seed}.json`;
  writeFileSync(path, `${JSON.stringify(short, undefined, 2)}\n`);
  console.log(
    `shrunk in ${runs} runs to ${short.faults.length} faults and ${short.deeds.length} deeds:  ` +
      `npm run sim -- --seeds 1 --from ${seed} ${sizeFlags} --plan ${path} --verbose`,
  );
  for (const fault of short.faults) console.log(`  ${JSON.stringify(fault)}`);
}

async function once(file, job) {
  const worker = new Worker(file);
  const answer = await worker.do(job);
  worker.end();
  return answer;
}

/** Whether a bug that is easily found is found, in at most a few seeds. */
async function canarySings() {
  const bug = plantedBugs().find(({ isCanary }) => isCanary);
  return (await seedsUntilFound(bug, 5)) !== undefined;
}

function plantedBugs() {
  return JSON.parse(readFileSync(new URL('../test/sim/bugs/bugs.json', import.meta.url), 'utf8'));
}

/** The first seed in which a bug shows, with what it breaks. */
async function seedsUntilFound(bug, seedsMax) {
  const worker = new Worker(await bundle(`bug-${bug.name}`, bug));
  let found;
  for (let tries = 0; tries < seedsMax && found === undefined; tries += 1) {
    const job = { kind: 'run', seed: String(from + tries), size: { ...size, ...bug.size } };
    const { violation } = await worker.do(job);
    if (violation !== undefined) found = { seeds: tries + 1, violation };
  }
  worker.end();
  return found;
}

/** Plants each bug and looks for it, seed after seed. */
async function huntBugs() {
  const bugs = plantedBugs().filter(
    ({ name }) => values.only === undefined || name === values.only,
  );
  const queue = [...bugs];
  let missed = 0;
  const work = async () => {
    for (let bug = queue.shift(); bug !== undefined; bug = queue.shift()) {
      const found = await seedsUntilFound(bug, count);
      if (found === undefined) missed += 1;
      console.log(
        found === undefined
          ? `not found  ${bug.name}`
          : `${String(found.seeds).padStart(4)} seeds  ${bug.name}: ${found.violation.rule}`,
      );
    }
  };
  await Promise.all(Array.from({ length: Number(values.processes) }, work));
  console.log(`${bugs.length - missed} of ${bugs.length} planted bugs found`);
  return missed === 0 ? 0 : 1;
}

import { parseArgs } from 'node:util';
import { runChaos } from './run.ts';

// npm run chaos: makes faults in a swarm of real daemons and Engines, for as long as asked.
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: String(process.pid) },
    managers: { type: 'string', default: '3' },
    workers: { type: 'string', default: '2' },
    logs: { type: 'string' },
  },
});
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
const say = (line: string): void => void process.stdout.write(`${line}\n`);

try {
  const report = await runChaos(
    {
      seed: Number(values.seed),
      forMs: Number(values.minutes) * 60_000,
      managers: Number(values.managers),
      workers: Number(values.workers),
      ...(values.logs === undefined ? {} : { logs: values.logs }),
      tell: say,
    },
    stop.signal,
  );
  say(`nothing was found: ${JSON.stringify(report)}`);
} catch (error) {
  say(stop.signal.aborted ? 'ended, and nothing is left' : String(error));
  process.exitCode = stop.signal.aborted ? 130 : 1;
}

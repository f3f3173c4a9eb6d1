// Is loaded into a manager of ours before its program, and answers on the socket that its address
// names (`loop-monitor.mjs?socket=/path`): the delay of the event loop since it was asked last, and, to
// find out where time goes, a profile of the processor (--cpu-prof would only end with the process).
import { createServer } from 'node:http';
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
const session = new Session();

const answers = {
  '/delay': () => {
    const ms = (ns) => ns / 1e6;
    const answer = { p99: ms(delay.percentile(99)), max: ms(delay.max) };
    delay.reset();
    return answer;
  },
  '/memory': () => {
    globalThis.gc?.();
    return process.memoryUsage();
  },
  '/profile/start': async () => {
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 500 });
    await session.post('Profiler.start');
    return {};
  },
  '/profile/stop': async () => {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    return profile;
  },
};

const server = createServer(async (request, response) => {
  response.end(JSON.stringify(await answers[request.url]?.()));
});
server.listen(new URL(import.meta.url).searchParams.get('socket'));
server.unref();

// The simulation as one file, and the processes that run it.
import { fork } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = new URL('../..', import.meta.url).pathname;

/**
 * Puts the product and its simulated world into one file.
 * @param bug a change of one line of the product: { file, line, becomes }
 */
export async function bundle(name, bug) {
  const outfile = join(root, 'dist/sim', `${name}.mjs`);
  const plugins = bug === undefined ? [] : [planted(bug)];
  const { outputFiles } = await build({
    write: false,
    entryPoints: [join(root, 'test/sim/run/worker.ts')],
    outfile,
    plugins,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'error',
  });
  mkdirSync(join(root, 'dist/sim'), { recursive: true });
  writeFileSync(outfile, withFreshDisposals(outputFiles[0].text));
  return outfile;
}

/**
 * What esbuild makes of `using` in a loop throws the error of an earlier round again: the variables
 * that hold it are the function's, and are not cleared. Here they are, with the stack beside them.
 */
function withFreshDisposals(code) {
  let fresh = code;
  for (const [, stack, error, hasError] of code.matchAll(
    /__callDispose\((_stack\d*), (_error\d*), (_hasError\d*)\)/g,
  )) {
    const begin = `var ${stack} = [];`;
    const cleared = `var ${stack} = [], ${error} = void 0, ${hasError} = false;`;
    fresh = fresh.replace(begin, cleared); // The next that is not cleared yet: both are in order.
  }
  return fresh;
}

/** @throws if the product has no such line, or several */
function planted({ file, line, becomes }) {
  return {
    name: 'bug',
    setup(build) {
      const path = join(root, file);
      build.onLoad({ filter: /\.ts$/ }, (args) => {
        if (args.path !== path) return undefined;
        const parts = readFileSync(path, 'utf8').split(line);
        if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${line}`);
        return { contents: parts.join(becomes), loader: 'ts' };
      });
    },
  };
}

/**
 * Everything is made and forgotten within one event, so a large nursery is never full of what still
 * lives; and most code runs for minutes, so that all of it is worth compiling at once. There is a
 * process for each core: threads beside it, to compile and to collect, would take from the others.
 */
const nodeFlags = [
  '--enable-source-maps',
  '--max-old-space-size=1500',
  '--max-semi-space-size=64',
  '--always-sparkplug',
  '--single-threaded',
];

/** A job that takes longer does not end. */
const jobMsMax = 20 * 60_000;

/** A process that carries out one job after the other. */
export class Worker {
  #child;
  #waiting;

  constructor(file) {
    this.#child = fork(file, [], { execArgv: nodeFlags });
    this.#child.on('message', (answer) => this.#waiting?.resolve(answer));
    this.#child.on('exit', (code, signal) => {
      const end = signal ?? `code ${code}`;
      this.#waiting?.reject(new Error(`a process of the simulation ended with ${end}`));
    });
  }

  /** @throws if the job does not end: a world may turn in a circle without an event */
  async do(job) {
    let timer;
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting = { resolve, reject };
        const late = () => reject(new Error(`seed ${job.seed} does not end`));
        timer = setTimeout(late, jobMsMax);
        this.#child.send(job);
      });
    } catch (error) {
      this.end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  end() {
    this.#waiting = undefined;
    this.#child.kill('SIGKILL');
  }
}

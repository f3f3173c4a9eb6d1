import { usePlainAborts } from './abort.ts';

/** What would let the real world into a simulated one. */
const leaks = ['setTimeout', 'setInterval', 'setImmediate', 'fetch'] as const;

const forbidden = (name: string) => (): never => {
  throw new Error(`${name} was used in a simulation`);
};

/**
 * Runs a simulation with the real clock and real chance out of reach: whoever asks for them throws,
 * so that nothing depends on them unnoticed. Errors know no stack: it would cost a tenth of the
 * time. A run that is told of in full keeps them.
 */
export function sealed<T>(run: () => T, keepsStacks: boolean): T {
  const kept = [
    ...leaks.map((name) => [globalThis, name, globalThis[name]] as const),
    [Date, 'now', Reflect.get(Date, 'now') as unknown] as const,
    [Math, 'random', Reflect.get(Math, 'random') as unknown] as const,
  ];
  const { stackTraceLimit } = Error;
  for (const [owner, name] of kept) Object.assign(owner, { [name]: forbidden(name) });
  if (!keepsStacks) Error.stackTraceLimit = 0;
  usePlainAborts(true);
  try {
    return run();
  } finally {
    usePlainAborts(false);
    Error.stackTraceLimit = stackTraceLimit;
    for (const [owner, name, value] of kept) Object.assign(owner, { [name]: value });
  }
}

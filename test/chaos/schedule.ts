import { Seeded } from './seeded.ts';

/** What can happen to a node. All of it passes. */
export type Fault =
  /** SIGKILL, and a new start. */
  | 'kill'
  /** SIGTERM, and a new start. */
  | 'stop'
  /** SIGSTOP, and SIGCONT. */
  | 'pause'
  /** Nothing comes and nothing goes. */
  | 'cut'
  /** It is heard by others and hears nobody. */
  | 'deafen'
  /** It hears others and is heard by nobody. */
  | 'silence'
  /** Nothing goes between it and one manager. */
  | 'part'
  /** A quarter of its frames is lost, each way. */
  | 'loss';

/** Whom it happens to, found out when the time has come. */
export type Victim = 'leader' | 'follower' | 'worker';

export interface Step {
  readonly atMs: number;
  readonly fault: Fault;
  readonly victim: Victim;
  readonly forMs: number;
}

/** What swarm a schedule is for. The last worker is a witness: nothing is done to it. */
export interface Shape {
  readonly managers: number;
  readonly workers: number;
}

/** How long each lasts, in milliseconds. */
const durations: Readonly<Record<Fault, readonly [least: number, most: number]>> = {
  kill: [0, 6_000],
  stop: [0, 4_000],
  pause: [500, 8_000],
  cut: [1_000, 9_000],
  deafen: [2_000, 9_000],
  silence: [2_000, 9_000],
  part: [2_000, 9_000],
  loss: [3_000, 10_000],
};

/** A worker is down after 15 s of silence: some of its faults last longer. */
const timesForWorkers = 3;

/** The faults of a run: one every few seconds, some while another lasts. The same for a seed. */
export function scheduleOf(seed: number, forMs: number, shape: Shape): readonly Step[] {
  const chance = new Seeded(seed, 'schedule');
  const steps: Step[] = [];
  for (let atMs = chance.between(500, 3_000); atMs < forMs; atMs += chance.between(2_000, 9_000)) {
    const fault = chance.pick(Object.keys(durations) as Fault[]); // Its keys are faults.
    const [least, most] = durations[fault];
    const victim = chance.pick(victimsOf(shape));
    const times = victim === 'worker' ? timesForWorkers : 1;
    steps.push({ atMs, fault, victim, forMs: chance.between(least, most) * times });
  }
  return steps;
}

/** Each as often as it is to be hit. */
function victimsOf({ managers, workers }: Shape): readonly Victim[] {
  return [
    ...(['leader', 'leader'] as const),
    ...(managers > 1 ? (['follower'] as const) : []),
    ...(workers > 1 ? (['worker'] as const) : []),
  ];
}

export const describeStep = ({ atMs, fault, victim, forMs }: Step): string =>
  `${(atMs / 1_000).toFixed(1)} s: ${fault} ${victim} for ${(forMs / 1_000).toFixed(1)} s`;

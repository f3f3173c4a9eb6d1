import { pickByWeight, Stream } from '../../kernel/streams.ts';
import { drawMishaps } from './draw-mishaps.ts';
import { drawRebuild } from './draw-rebuild.ts';
import { drawDepartures } from './draw-departures.ts';
import {
  type Deed,
  type Fault,
  type HostName,
  managerHosts,
  type Plan,
  type Size,
} from './plan.ts';

/** Draws what happens to a world. Each kind of thing has its own stream. */
export function drawPlan(seed: string, size: Size): Plan {
  const { managers, agents, minutes } = size;
  const endAt = minutes * 60_000;
  const healAt = endAt * 0.55;
  const chance = new Stream(seed, 'nemesis');
  const count = chance.chance(0.05) ? 0 : 3 + chance.integer(22);
  const faults: Fault[] = [];
  const deeds = [
    ...drawDeeds(new Stream(seed, 'work'), healAt, agents),
    ...drawHeartbeats(new Stream(seed, 'heartbeat'), healAt),
    ...(managers > 1 ? drawTurns(new Stream(seed, 'managers'), healAt, managers) : []),
  ].toSorted(byTime);
  for (let at = 0; at < count; at += 1) {
    const anywhere = Math.round(chance.between(8_000, healAt - 5_000));
    const deed = chance.pick(deeds).time;
    // What goes wrong while somebody does something goes wrong twice.
    const time = chance.chance(0.2) ? deed : anywhere;
    faults.push(...drawFault(chance, time, size));
  }
  if (managers > 1) {
    faults.push(
      ...drawCrashes(new Stream(seed, 'crashes'), deeds, size),
      ...drawMishaps(new Stream(seed, 'mishaps'), deeds, healAt, size),
    );
  }
  const going =
    managers > 1
      ? [
          drawDepartures(new Stream(seed, 'departures'), healAt, size),
          drawRebuild(new Stream(seed, 'rebuild'), healAt, size),
        ]
      : [];
  const all = [...deeds, ...going.flatMap((each) => each.deeds)];
  // A rebuilt swarm waits for all its nodes, longer than a world lasts.
  if (!all.some(({ kind }) => kind === 'rebuild')) {
    faults.push(...drawLosses(new Stream(seed, 'losses'), healAt, size));
  }
  return {
    faults: [...faults, ...going.flatMap((each) => each.faults)]
      .filter((fault) => fault.kind !== 'lose-disk' || !isTurn(fault, all))
      .toSorted(byTime),
    deeds: all.filter((deed) => deed.kind !== 'leave' || !isTurn(deed, all)).toSorted(byTime),
    healAt,
    endAt,
  };
}

/** A manager that is gone for good is believed to be there for a while: nobody is to count on it. */
const isTurn = ({ time }: { readonly time: number }, deeds: readonly Deed[]): boolean =>
  deeds.some(
    (deed) => deed.kind === 'demote' && deed.time > time - 1_500 && deed.time < time + 3_000,
  );

const byTime = (a: { time: number }, b: { time: number }): number => a.time - b.time;

type Draw = (chance: Stream, time: number, host: HostName) => Fault;

const span = (chance: Stream, low: number, high: number): number =>
  Math.round(low * (high / low) ** chance.unit());

/** What may happen to a manager's host, and how often compared with the others. */
const toManagers: readonly (readonly [number, Draw])[] = [
  [
    3,
    (c, time, host) => ({
      time,
      kind: 'crash-writing',
      host,
      ms: span(c, 50, 15_000),
      isPower: c.chance(0.3),
    }),
  ],
  [
    4,
    (c, time, host) => ({
      time,
      kind: 'crash',
      host,
      ms: span(c, 50, 25_000),
      isPower: c.chance(0.3),
    }),
  ],
  [2, (c, time, host) => ({ time, kind: 'restart', host, ms: span(c, 50, 5_000) })],
  [2, (c, time, host) => ({ time, kind: 'pause', host, ms: span(c, 100, 40_000) })],
  [1, (c, time, host) => ({ time, kind: 'slow-disk', host, ms: span(c, 1_000, 20_000) })],
  [1, (_, time, host) => ({ time, kind: 'failing-disk', host })],
  [
    1,
    (c, time, host) => ({
      time,
      kind: 'damage',
      host,
      damage: c.pick(['journal', 'full', 'current', 'value'] as const),
      ms: span(c, 500, 10_000),
    }),
  ],
  [
    1,
    (c, time, host) => ({
      time,
      kind: 'clock-step',
      host,
      by: Math.round(c.between(-3.6e6, 3.6e6)),
    }),
  ],
  [1, (c, time, host) => ({ time, kind: 'clock-drift', host, rate: c.between(0.9, 1.1) })],
  [1, (c, time, host) => ({ time, kind: 'clog', host, ms: span(c, 100, 10_000) })],
  [
    1,
    (c, time, host) => ({
      time,
      kind: 'cut',
      host,
      way: c.pick(['in', 'out', 'both'] as const),
      ms: span(c, 200, 40_000),
    }),
  ],
];

/** What may happen beside that where there are several managers. */
const toGroups: readonly (readonly [number, Draw])[] = [
  [
    10,
    (c, time, host) => ({
      time,
      kind: 'split',
      host,
      with: [],
      way: c.pick(['in', 'out', 'both', 'both'] as const),
      ms: span(c, 1_000, 40_000),
    }),
  ],
  [6, (c, time, host) => ({ time, kind: 'lose-disk', host, ms: span(c, 100, 10_000) })],
  [
    2,
    (c, time, host) => ({
      time,
      kind: 'loss',
      host,
      rate: c.between(0.05, 0.4),
      ms: span(c, 1_000, 20_000),
    }),
  ],
];

const toAgents: readonly (readonly [number, Draw])[] = [
  [
    3,
    (c, time, host) => ({
      time,
      kind: 'crash',
      host,
      ms: span(c, 50, 40_000),
      isPower: c.chance(0.4),
    }),
  ],
  [1, (c, time, host) => ({ time, kind: 'restart', host, ms: span(c, 50, 5_000) })],
  [2, (c, time, host) => ({ time, kind: 'pause', host, ms: span(c, 100, 60_000) })],
  [
    3,
    (c, time, host) => ({
      time,
      kind: 'cut',
      host,
      way: c.pick(['in', 'out', 'both'] as const),
      ms: span(c, 200, 60_000),
    }),
  ],
  [1, (c, time, host) => ({ time, kind: 'clog', host, ms: span(c, 100, 10_000) })],
  [
    1,
    (c, time, host) => ({
      time,
      kind: 'loss',
      host,
      rate: c.between(0.05, 0.6),
      ms: span(c, 1_000, 40_000),
    }),
  ],
  [1, (c, time, host) => ({ time, kind: 'forget-tasks', host, ms: span(c, 50, 30_000) })],
  [
    1,
    (c, time, host) => ({
      time,
      kind: 'clock-step',
      host,
      by: Math.round(c.between(-3.6e6, 3.6e6)),
    }),
  ],
  [1, (c, time, host) => ({ time, kind: 'clock-drift', host, rate: c.between(0.9, 1.1) })],
  [3, (c, time, host) => ({ time, kind: 'kill-containers', host, exitCode: c.pick([0, 1, 137]) })],
  [
    2,
    (c, time, host) => ({
      time,
      kind: 'engine',
      host,
      state: c.pick(['away', 'hanging'] as const),
      isAtStart: c.chance(0.5),
      ms: span(c, 200, 40_000),
    }),
  ],
  [1, (_, time, host) => ({ time, kind: 'lose-assignment', host })],
];

function drawFault(
  chance: Stream,
  time: number,
  { managers, agents }: Pick<Size, 'managers' | 'agents'>,
): readonly Fault[] {
  const isGroup = managers > 1;
  const isManagers = chance.chance(isGroup ? 0.7 : 0.35);
  const kinds = isGroup ? [...toManagers, ...toGroups] : toManagers;
  const draw = pickByWeight(chance, isManagers ? kinds : toAgents);
  if (isManagers) {
    const number = chance.integer(managerHosts({ managers }));
    const isLeader = isGroup && chance.chance(0.3);
    const fault = draw(chance, time, isLeader ? 'leader' : `m${number}`);
    if (fault.kind !== 'split') return [fault];
    const others = Array.from({ length: managers - 1 }, (_, at) => `m${at}` as const);
    return [{ ...fault, with: others.filter(() => chance.chance(0.4)) }];
  }
  // A rack, or one machine.
  const first = chance.integer(agents);
  const many = chance.chance(0.25) ? 2 + chance.integer(Math.ceil(agents / 4)) : 1;
  const example = draw(chance, time, `a${first}`);
  return Array.from({ length: many }, (_, at) => ({
    ...example,
    host: `a${(first + at) % agents}` as const,
  }));
}

/** Managers that are down while one of them is demoted. */
function drawCrashes(chance: Stream, deeds: readonly Deed[], size: Size): Fault[] {
  return deeds
    .filter(({ kind }) => kind === 'demote' && chance.chance(0.12))
    .map(({ time }) => ({
      time: time - 1_200,
      kind: 'crash',
      host: `m${chance.integer(managerHosts(size))}`,
      ms: span(chance, 4_000, 20_000),
      isPower: chance.chance(0.3),
    }));
}

/** A worker that is gone for good: one of those that are not needed. */
function drawLosses(chance: Stream, healAt: number, { agents }: Size): Fault[] {
  if (agents < enoughAgents || !chance.chance(0.2)) return [];
  const time = Math.round(chance.between(10_000, healAt - 5_000));
  return [{ time, kind: 'lose-host', host: `a${chance.integer(agents - 1)}` }];
}

/** With so many, one may be lost. */
const enoughAgents = 4;

/** With fewer agents than this, all might be drained at the same time. */
const fewAgents = 10;

/** Promotions and demotions: about as many of these as of those, now far apart, now all at once. */
function drawTurns(chance: Stream, healAt: number, managers: number): Deed[] {
  const count = 6 + chance.integer(26);
  let time = chance.between(12_000, 25_000);
  let wanted = managers;
  const turns: Deed[] = [];
  for (let at = 0; at < count && time < healAt; at += 1) {
    const number = chance.integer(1_000);
    const isMore =
      wanted <= Math.max(1, managers - 2) ||
      (wanted < managerHosts({ managers }) && chance.chance(0.5));
    turns.push({ time: Math.round(time), kind: isMore ? 'promote' : 'demote', number });
    wanted += isMore ? 1 : -1;
    time += chance.chance(0.3) ? chance.between(0, 200) : chance.exponential(healAt / count);
  }
  return turns;
}

/** Somebody wants to hear of dead nodes sooner, or to hear less of the others. */
function drawHeartbeats(chance: Stream, healAt: number): Deed[] {
  const count = chance.chance(0.2) ? 1 + chance.integer(3) : 0;
  return Array.from({ length: count }, () => ({
    time: Math.round(chance.between(10_000, healAt)),
    kind: 'heartbeat',
    ms: chance.pick([1_000, 1_000, 3_000, 5_000, 10_000]),
  }));
}

function drawDeeds(chance: Stream, healAt: number, agents: number): Deed[] {
  const deeds: Deed[] = [];
  const services = 3 + chance.integer(6);
  for (let number = 0; number < services; number += 1) {
    deeds.push({
      time: 3_000 + number * 400,
      kind: 'create',
      number,
      replicas: 1 + chance.integer(chance.chance(0.2) ? 24 : 9),
      isGlobal: chance.chance(0.04),
      withSecret: chance.chance(0.2),
    });
  }
  if (chance.chance(0.15)) {
    const time = 3_150 + chance.integer(services * 400);
    deeds.push({ time, kind: 'remove', number: chance.integer(services) });
  }
  const more = chance.integer(14);
  for (let at = 0; at < more; at += 1) {
    const time = Math.round(chance.between(10_000, healAt));
    const number = chance.integer(services + 1);
    const kind = pickByWeight(chance, [
      [3, 'scale'],
      [4, 'update'],
      [1, 'roll-back'],
      [1, 'remove'],
      [2, 'drain'],
      [1, 'pause'],
      [2, 'activate'],
      [1, 'remove-task'],
      [1, 'rotate-tokens'],
      [1, 'create'],
    ] as const);
    if (kind === 'scale') deeds.push({ time, kind, number, replicas: chance.integer(14) });
    else if (kind === 'update') {
      deeds.push({
        time,
        kind,
        number,
        image: at,
        isStartFirst: chance.chance(0.25),
        parallelism: chance.integer(4),
      });
    } else if (kind === 'create') {
      deeds.push({
        time,
        kind,
        number: services + at,
        replicas: chance.integer(8),
        isGlobal: false,
        withSecret: chance.chance(0.2),
      });
    } else if (kind === 'rotate-tokens') deeds.push({ time, kind });
    else if (kind === 'roll-back' || kind === 'remove' || kind === 'remove-task') {
      deeds.push({ time, kind, number });
    } else {
      // Of a few, one is left to run what there is.
      const these = agents < fewAgents ? Math.max(1, agents - 1) : agents;
      deeds.push({ time, kind, number: chance.integer(these) });
    }
  }
  return deeds;
}

import { pickByWeight, type Stream } from '../../kernel/streams.ts';
import { type Deed, type Fault, managerHosts, type Size } from './plan.ts';

/** What happens to nodes that go, and what has gone wrong with them before. */
interface Drawn {
  readonly deeds: readonly Deed[];
  readonly faults: readonly Fault[];
}

type Draw = (chance: Stream, time: number, size: Size) => Drawn;

/** A node is down after three heartbeats; a slow one, after half a minute. */
const downAfterMs = [18_000, 32_000] as const;

const nothing: readonly Fault[] = [];

const kinds: readonly (readonly [number, Draw])[] = [
  [
    2,
    (chance, time) => {
      const number = chance.integer(1_000);
      return {
        deeds: [{ time, kind: 'remove-node', of: 'workers', number, isForced: true }],
        faults: nothing,
      };
    },
  ],
  [
    3,
    // It is down by then, and comes back later, or sooner.
    (chance, time, { agents }) => {
      const host = `a${chance.integer(agents)}` as const;
      const ms = Math.round(chance.between(20_000, 50_000));
      const diedAt = Math.max(8_000, Math.round(time - chance.between(...downAfterMs)));
      return {
        deeds: [{ time, kind: 'remove-node', of: 'workers', number: 0, isForced: false }],
        faults: [{ time: diedAt, kind: 'crash', host, ms, isPower: chance.chance(0.4) }],
      };
    },
  ],
  [
    2,
    (chance, time, { agents }) => ({
      deeds: [{ time, kind: 'leave', host: `a${chance.integer(agents)}` }],
      faults: nothing,
    }),
  ],
  [
    3,
    (chance, time, size) => ({
      deeds: [{ time, kind: 'leave', host: `m${chance.integer(managerHosts(size))}` }],
      faults: nothing,
    }),
  ],
  [
    3,
    (chance, time) => {
      const number = chance.integer(1_000);
      const isForced = chance.chance(0.5);
      return {
        deeds: [{ time, kind: 'remove-node', of: 'managers', number, isForced }],
        faults: nothing,
      };
    },
  ],
  [
    3,
    // Before it is out of the group, perhaps: it waits, if another goes down meanwhile.
    (chance, time, size) => {
      const number = chance.integer(1_000);
      const isOneDown = chance.chance(0.6);
      const later = isOneDown ? chance.between(500, 20_000) : chance.exponential(15);
      const host = `m${chance.integer(managerHosts(size))}` as const;
      const ms = Math.round(chance.between(15_000, 60_000));
      const diesAt = Math.round(time + chance.between(-100, 300));
      const isPower = chance.chance(0.2);
      return {
        deeds: [
          { time, kind: 'demote', number },
          {
            time: Math.round(time + later),
            kind: 'remove-node',
            of: 'managers',
            number,
            isForced: true,
          },
        ],
        faults: isOneDown ? [{ time: diesAt, kind: 'crash', host, ms, isPower }] : [],
      };
    },
  ],
];

/** Draws which nodes leave and are removed. */
export function drawDepartures(chance: Stream, healAt: number, size: Size): Drawn {
  const count = chance.chance(0.2) ? 0 : 2 + chance.integer(8);
  const drawn = Array.from({ length: count }, () =>
    pickByWeight(chance, kinds)(chance, Math.round(chance.between(30_000, healAt - 8_000)), size),
  );
  const isBefore = ({ time }: { readonly time: number }): boolean => time < healAt - 1_000;
  return {
    deeds: drawn.flatMap(({ deeds }) => deeds).filter(isBefore),
    faults: drawn.flatMap(({ faults }) => faults).filter(isBefore),
  };
}

import type { Answer, Call, Operation } from './history.ts';

/** How a history is made up. */
export interface HistoryShape {
  readonly operations: number;
  readonly clients: number;
  readonly keys: number;
  /** Of a thousand operations so many are never answered; half of those are carried out. */
  readonly unknownPerMille: number;
}

/**
 * A history as clients see it that work at the same time on one copy of some objects: each
 * operation is carried out at some instant between its call and its answer.
 *
 * @param below a random integer from 0 to below a limit
 */
export function randomHistory(
  { operations, clients, keys, unknownPerMille }: HistoryShape,
  below: (limit: number) => number,
): readonly Operation[] {
  const objects = new Map<string, { readonly value: string; readonly version: number }>();
  const seen = new Map<string, number>();
  const plans = Array.from({ length: operations }, (_, number) => {
    const client = number % clients;
    // Each client asks one thing after the other; the instants of different clients mix.
    const start = Math.floor(number / clients) * 100 + ((client * 7) % 10);
    const calledAt = start + below(40);
    const happensAt = calledAt + below(45);
    return { number, calledAt, happensAt, answeredAt: happensAt + below(5) };
  });
  let version = 0;
  const answerTo = (key: string, call: Call): Answer => {
    const object = objects.get(key);
    if (call.kind === 'create' && object !== undefined) return { kind: 'exists' };
    if (call.kind === 'create') {
      objects.set(key, { value: call.value, version: (version += 1) });
      return { kind: 'done' };
    }
    if (object === undefined) return { kind: 'absent' };
    if (call.kind === 'read') return { kind: 'found', ...object };
    if (call.kind === 'remove') {
      objects.delete(key);
      return { kind: 'done' };
    }
    if (object.version !== call.version) return { kind: 'stale' };
    objects.set(key, { value: call.value, version: (version += 1) });
    return { kind: 'done' };
  };
  return plans
    .toSorted((a, b) => a.happensAt - b.happensAt)
    .map(({ number, calledAt, answeredAt }) => {
      const key = `object-${below(keys)}`;
      const call = randomCall(below(10), `v${number}`, seen.get(key) ?? 0);
      const isUnknown = below(1_000) < unknownPerMille;
      const answer = isUnknown && below(2) === 0 ? undefined : answerTo(key, call);
      if (answer?.kind === 'found' && !isUnknown) seen.set(key, answer.version);
      return { key, call, answer: isUnknown ? undefined : answer, calledAt, answeredAt };
    });
}

function randomCall(draw: number, value: string, version: number): Call {
  if (draw < 5) return { kind: 'read' };
  if (draw < 8) return { kind: 'update', version, value };
  return draw < 9 ? { kind: 'create', value } : { kind: 'remove' };
}

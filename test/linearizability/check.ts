import { type Call, describeOperation, type Operation } from './history.ts';
import {
  carryOut,
  emptyRegister,
  isSameAnswer,
  isSpent,
  type Register,
  type Versions,
  versionsOf,
} from './register.ts';
import { changed, type World, Worlds } from './worlds.ts';

/** Whether a history is one that a single copy of the objects could have given. */
export type Verdict =
  | { readonly kind: 'linearizable' }
  | {
      readonly kind: 'violation';
      /** The first operation whose answer nothing explains. */
      readonly operation: Operation;
      /** What may have been there before it, and the operations on its object just before: for a person. */
      readonly explanation: string;
    };

/**
 * Says whether each operation of a history can be thought to have happened at one instant between
 * its call and its answer.
 *
 * Objects do not know each other, so each is looked at alone: a history is linearizable if and only
 * if every part of it about one object is (Herlihy and Wing, 1990, theorem 1). For one object the
 * history is read from its beginning, with all the ways in which things may have gone; an operation
 * is carried out as late as can be, when some answer demands it (Lowe, "Testing for
 * linearizability", 2017, just-in-time linearization). The time it takes is linear in the length of
 * the history, and exponential only in the number of operations on one object at the same time.
 */
export function checkHistory(history: readonly Operation[]): Verdict {
  const objects = new Map<string, Operation[]>();
  for (const operation of history) {
    const operations = objects.get(operation.key);
    if (operations === undefined) objects.set(operation.key, [operation]);
    else operations.push(operation);
  }
  for (const operations of objects.values()) {
    const verdict = checkObject(operations);
    if (verdict.kind === 'violation') return verdict;
  }
  return { kind: 'linearizable' };
}

/** A call or an answer of the operation with a number. */
interface Event {
  readonly at: number;
  readonly kind: 'call' | 'answer';
  readonly number: number;
}

function checkObject(unsorted: readonly Operation[]): Verdict {
  const operations = unsorted.toSorted((a, b) => a.calledAt - b.calledAt);
  const known = versionsOf(operations);
  if ('contradiction' in known) {
    const why = 'another read has found the same value with another version';
    return violation(operations, known.contradiction, why);
  }
  const object = new ObjectHistory(operations, known.versions);
  let worlds: readonly World[] = [{ register: emptyRegister, owed: [], loose: new Map() }];
  for (const { kind, number } of eventsOf(operations)) {
    if (kind === 'call') {
      worlds = object.called(worlds, number);
      continue;
    }
    const next = object.answered(worlds, number);
    if (next.length === 0) {
      const states = new Set(worlds.map(({ register }) => register.value ?? 'nothing'));
      const why = `before it there may have been: ${[...states].join(', ')}`;
      return violation(operations, object.operation(number), why);
    }
    worlds = next;
  }
  return { kind: 'linearizable' };
}

/** Calls come before answers of the same instant: that they overlapped cannot be ruled out. */
function eventsOf(operations: readonly Operation[]): readonly Event[] {
  return operations
    .flatMap(({ call, answer, calledAt, answeredAt }, number): readonly Event[] => {
      const called: Event = { at: calledAt, kind: 'call', number };
      if (answer !== undefined) return [called, { at: answeredAt, kind: 'answer', number }];
      return call.kind === 'read' ? [] : [called]; // A read that told nobody anything says nothing.
    })
    .toSorted((a, b) => a.at - b.at || (a.kind === b.kind ? 0 : a.kind === 'call' ? -1 : 1));
}

/** The operations on one object. */
class ObjectHistory {
  readonly #operations: readonly Operation[];
  readonly #versions: Versions;
  /** An operation for each name of {@link Worlds.loose}. */
  readonly #looseCalls = new Map<string, Call>();

  constructor(operations: readonly Operation[], versions: Versions) {
    this.#operations = operations;
    this.#versions = versions;
  }

  operation(number: number): Operation {
    const operation = this.#operations[number];
    if (operation === undefined) throw new Error(`there is no operation ${number}`);
    return operation;
  }

  /** What worlds become when an operation is called: it may be carried out from now on. */
  called(worlds: readonly World[], number: number): readonly World[] {
    const { call, answer } = this.operation(number);
    if (answer !== undefined) {
      return worlds.map((world) => ({ ...world, owed: [...world.owed, number] }));
    }
    const name = this.#looseName(call, number);
    this.#looseCalls.set(name, call);
    return worlds.map((world) =>
      isSpent(world.register, call, this.#versions)
        ? world
        : { ...world, loose: changed(world.loose, name, 1) },
    );
  }

  /** Of one name are operations that do the same: it makes no difference which is carried out. */
  #looseName(call: Call, number: number): string {
    if (call.kind === 'remove') return 'remove';
    if (call.kind === 'read' || this.#versions.has(call.value)) return String(number);
    return call.kind === 'create' ? 'create' : `update@${call.version}`;
  }

  /** What each world may have become when an operation is answered: it has been carried out. */
  answered(worlds: readonly World[], number: number): readonly World[] {
    const done = new Worlds(this.#versions);
    const seen = new Worlds(this.#versions);
    const waiting: World[] = [];
    const visit = (world: World): void => {
      if (!world.owed.includes(number)) done.add(world);
      else if (seen.add(world)) waiting.push(world);
    };
    worlds.forEach(visit);
    for (let world = waiting.pop(); world !== undefined; world = waiting.pop()) {
      this.#successors(world).forEach(visit);
    }
    return done.all;
  }

  /** What a world may become by one operation. */
  #successors(world: World): readonly World[] {
    const next: World[] = [];
    for (const number of world.owed) {
      const { call, answer } = this.operation(number);
      const outcome = carryOut(world.register, call, this.#versions);
      if (outcome === 'impossible' || answer === undefined) continue;
      if (!isSameAnswer(outcome.answer, answer)) continue;
      const owed = world.owed.filter((other) => other !== number);
      next.push(this.#after({ ...world, owed }, outcome.register));
    }
    for (const name of world.loose.keys()) {
      const call = this.#looseCalls.get(name);
      const outcome = call && carryOut(world.register, call, this.#versions);
      if (outcome === undefined || outcome === 'impossible') continue;
      // Not to have changed anything is the same as not to have happened.
      if (outcome.register === world.register) continue;
      const loose = changed(world.loose, name, -1);
      next.push(this.#after({ ...world, loose }, outcome.register));
    }
    return next;
  }

  /** A world whose object has changed. What can have no effect any more is forgotten. */
  #after(world: World, register: Register): World {
    if (register === world.register) return world;
    const loose = new Map(world.loose);
    for (const name of world.loose.keys()) {
      const call = this.#looseCalls.get(name);
      if (call === undefined || isSpent(register, call, this.#versions)) loose.delete(name);
    }
    return { ...world, register, loose };
  }
}

function violation(operations: readonly Operation[], operation: Operation, why: string): Verdict {
  const before = operations.filter(({ calledAt }) => calledAt <= operation.answeredAt);
  const lines = before.slice(-20).map((each) => {
    return `${each === operation ? '→' : ' '} ${describeOperation(each)}`;
  });
  return {
    kind: 'violation',
    operation,
    explanation: [`${describeOperation(operation)}: ${why}`, ...lines].join('\n'),
  };
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addResources,
  amountsOf,
  claimGeneric,
  codecOf,
  fits,
  genericAmounts,
  lackOf,
  type ResourceAmounts,
  subtractResources,
} from '../../src/api/index.ts';
import type { GenericResourceInput, ResourcesInput } from '../../src/api/gen/types.ts';

const amounts = (input: ResourcesInput): ResourceAmounts =>
  amountsOf(codecOf('Resources').create(input));
const discrete = (kind: string, value: number): GenericResourceInput => ({
  discreteResourceSpec: { kind, value },
});
const named = (kind: string, value: string): GenericResourceInput => ({
  namedResourceSpec: { kind, value },
});

const byKind = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : 1;
const plain = ({ discrete: counts, named: names, ...rest }: ResourceAmounts): unknown => ({
  ...rest,
  discrete: [...counts].filter(([, value]) => value !== 0).toSorted(byKind),
  named: [...names]
    .filter(([, values]) => values.length > 0)
    .map(([kind, values]) => [kind, values.toSorted()] as const)
    .toSorted(byKind),
});

const node = amounts({
  nanoCpus: 4e9,
  memoryBytes: 1000,
  generic: [discrete('fpga', 2), named('gpu', 'a'), named('gpu', 'b')],
});

describe('resources', () => {
  test('an absent message is nothing, and nothing always fits', () => {
    expect(fits(amountsOf(null), amountsOf(undefined))).toBe(true);
  });

  test.each([
    ['CPU', { nanoCpus: 5e9 }],
    ['memory', { memoryBytes: 1001 }],
    ['fpga', { generic: [discrete('fpga', 3)] }],
    ['gpu', { generic: [discrete('gpu', 3)] }],
    ['gpu', { generic: [named('gpu', 'c')] }],
    ['ssd', { generic: [discrete('ssd', 1)] }],
  ])('what is lacking is told: %s', (lack, request) => {
    expect(lackOf(amounts(request), node)).toBe(lack);
  });

  test('a request for everything fits', () => {
    const all = { nanoCpus: 4e9, memoryBytes: 1000, generic: [discrete('fpga', 2)] };
    expect(fits(amounts({ ...all, generic: [discrete('gpu', 2)] }), node)).toBe(true);
    expect(fits(amounts(all), node)).toBe(true);
  });

  test('names are claimed in their order, counts as counts', () => {
    const request = amounts({ generic: [discrete('gpu', 1), discrete('fpga', 2)] });
    const claimed = claimGeneric(request, node);
    expect(genericAmounts(claimed).named.get('gpu')).toEqual(['a']);
    expect(genericAmounts(claimed).discrete.get('fpga')).toBe(2);
    const left = subtractResources(node, genericAmounts(claimed));
    expect(left.named.get('gpu')).toEqual(['b']);
    expect(left.discrete.get('fpga')).toBe(0);
  });

  test('a node that claims more than a double can hold does no harm', () => {
    const boast = amounts({ nanoCpus: '9223372036854775807', memoryBytes: '9223372036854775807' });
    expect(fits(node, subtractResources(boast, amounts({ nanoCpus: 1, memoryBytes: 1 })))).toBe(
      false,
    );
    expect(fits(amounts({ memoryBytes: 1e12 }), boast)).toBe(true);
  });

  test('taking back what was added leaves what was there', () => {
    const list = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constantFrom('x', 'y'), value: fc.nat(9) }).map((one) => ({
          discreteResourceSpec: one,
        })),
        fc
          .record({ kind: fc.constantFrom('p', 'q'), value: fc.constantFrom('1', '2', '3') })
          .map((one) => ({ namedResourceSpec: one })),
      ),
      { maxLength: 6 },
    );
    const some = fc.record({ nanoCpus: fc.nat(), memoryBytes: fc.nat(), generic: list });
    fc.assert(
      fc.property(some, some, (a, b) => {
        const [left, right] = [amounts(a), amounts(b)];
        const back = subtractResources(addResources(left, right), right);
        expect(plain(back)).toEqual(plain(left));
      }),
    );
  });
});

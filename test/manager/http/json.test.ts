import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson, stringifyJson } from '../../../src/manager/http/json.ts';

describe('parseJson and stringifyJson', () => {
  test('integers beyond 2^53 pass unharmed, and as numbers', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n }), (value) => {
        const text = stringifyJson({ value });
        expect(text).toBe(`{"value":${value}}\n`);
        const read = parseJson(text) as { value: number | bigint };
        expect(BigInt(read.value)).toBe(value);
      }),
    );
  });

  test('digits inside of strings, and long decimals, are left alone', () => {
    const text = '{"a":"12345678901234567890","b\\"":"x\\\\","c":0.12345678901234567890}';
    expect(parseJson(text)).toEqual(JSON.parse(text));
    expect(parseJson(`[12345678901234567890,${text}]`)).toEqual([
      12345678901234567890n,
      JSON.parse(text),
    ]);
  });

  test('what is no JSON is refused', () => {
    expect(() => parseJson('notjson')).toThrow(/^invalid JSON: /u);
    expect(() => parseJson('{"a":1} x')).toThrow(/^invalid JSON: /u);
  });

  test('absent members are left out, and nothing is escaped for HTML', () => {
    expect(stringifyJson({ a: undefined, b: null, c: '<&>' })).toBe('{"b":null,"c":"<&>"}\n');
  });
});

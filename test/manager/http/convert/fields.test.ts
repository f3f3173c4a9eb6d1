import { describe, expect, test } from 'vitest';
import { Fields } from '../../../../src/manager/http/convert/fields.ts';

describe('Fields', () => {
  test('names match without regard to case, and the last of several counts', () => {
    expect(Fields.of({ NAME: 'a', name: 'b' }).text('Name')).toBe('b');
  });

  test('absent and null are zero values', () => {
    const fields = Fields.of({ Name: null });
    expect([fields.text('Name'), fields.flag('On'), fields.integer('Count')]).toEqual([
      '',
      false,
      '0',
    ]);
    expect([fields.texts('List'), fields.map('Map'), fields.object('Object')]).toEqual([
      [],
      {},
      undefined,
    ]);
  });

  test('keys of a map keep their case, whatever they are', () => {
    const map = Fields.of(JSON.parse('{"Labels":{"A":"1","a":"2","__proto__":"3"}}')).map('labels');
    expect(Object.entries(map)).toEqual([
      ['A', '1'],
      ['a', '2'],
      ['__proto__', '3'],
    ]);
  });

  test('a value of another type is refused, and the field is named', () => {
    const fields = Fields.of({ Name: 1, Count: 1.5, List: ['a', 2], Big: 2n ** 64n, Less: -1 });
    expect(() => fields.text('Name')).toThrow('field Name must be a string');
    expect(() => fields.integer('Count')).toThrow('field Count must be an integer');
    expect(() => fields.texts('List')).toThrow('field List must be a list of strings');
    expect(() => fields.integer('Big')).toThrow('field Big must be a 64-bit integer');
    expect(() => fields.count('Less')).toThrow('field Less must be a non-negative integer');
    expect(() => Fields.of([])).toThrow('field body must be an object');
  });

  test('bytes are base64', () => {
    expect(Fields.of({ Data: 'dm0K' }).bytes('Data').toString()).toBe('vm\n');
    expect(() => Fields.of({ Data: '!' }).bytes('Data')).toThrow('must be base64');
  });
});

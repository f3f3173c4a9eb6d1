import { describe, expect, test } from 'vitest';
import {
  Filters,
  nodeFilters,
  serviceQuery,
  taskQuery,
} from '../../../src/manager/http/filters.ts';

describe('filters', () => {
  test('are read in both forms', () => {
    const now = Filters.parse('{"name":{"a":true,"b":false}}', ['name']);
    const old = Filters.parse('{"name":["a","b"]}', ['name']);
    expect([now.get('name'), old.get('name')]).toEqual([['a'], ['a', 'b']]);
  });

  test.each(['notjson', '[]', '1', '{"name":"a"}', '{"name":[1]}'])(
    'are refused if malformed: %s',
    (written) => {
      expect(() => Filters.parse(written, ['name'])).toThrow('invalid filter');
    },
  );

  test('of an unknown key are refused', () => {
    expect(() => nodeFilters('{"foo":["x"]}')).toThrow("invalid filter 'foo'");
  });

  test('of labels may leave the value out', () => {
    const written = '{"label":["a","b=","c=d=e"],"node.label":["zone=x"]}';
    expect(nodeFilters(written)).toMatchObject({
      labels: { a: '', b: '', c: 'd=e' },
      nodeLabels: { zone: 'x' },
    });
  });

  test('of enumerations name what they do not know', () => {
    expect(nodeFilters('{"role":["manager"]}').roles).toEqual(['MANAGER']);
    expect(() => nodeFilters('{"role":["king"]}')).toThrow("Invalid role filter: 'king'");
    expect(() => taskQuery('{"desired-state":["foo"]}')).toThrow(
      "Invalid desired-state filter: 'foo'",
    );
  });

  test('show containers unless told otherwise', () => {
    expect(serviceQuery(null).filters.runtimes).toEqual(['container']);
    expect(taskQuery('').filters.runtimes).toEqual(['container', '']);
    expect(serviceQuery('{"runtime":["plugin"]}').filters.runtimes).toEqual(['plugin']);
  });
});

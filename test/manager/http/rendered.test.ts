import { describe, expect, test } from 'vitest';
import { Rendered } from '../../../src/manager/http/rendered.ts';

describe('Rendered', () => {
  test('an object is converted once, however often it is listed', () => {
    let conversions = 0;
    const rendered = new Rendered<{ readonly id: string }>(({ id }) => {
      conversions += 1;
      return { ID: id };
    });
    const [one, other] = [{ id: 'a' }, { id: 'a' }];
    expect([rendered.of(one), rendered.of(one)]).toEqual(['{"ID":"a"}', '{"ID":"a"}']);
    expect(conversions).toBe(1);
    rendered.of(other);
    expect(conversions).toBe(2); // It may be another version.
  });

  test('a member of the moment is added to it, and is not kept', () => {
    const rendered = new Rendered<{ readonly id: string }>(({ id }) => ({ ID: id }));
    const object = { id: 'a}' };
    expect(rendered.with(object, 'Count', { Running: 1n })).toBe(
      '{"ID":"a}","Count":{"Running":1}}',
    );
    expect(rendered.of(object)).toBe('{"ID":"a}"}');
  });
});

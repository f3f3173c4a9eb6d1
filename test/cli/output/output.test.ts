import { describe, expect, test } from 'vitest';
import { compareNaturally, ellipsis, table } from '../../../src/cli/output/table.ts';
import { aRow, Bytes, compileTemplate } from '../../../src/cli/output/template.ts';
import {
  byteSize,
  goDuration,
  humanDuration,
  parseBytes,
  parseDuration,
} from '../../../src/cli/output/units.ts';

describe('a table', () => {
  test('has columns of at least ten characters, three apart, and no padding at the end', () => {
    expect(
      table([
        ['ID', 'NAME', 'PORTS'],
        ['pey7y3l7hp16', 'nginx', ''],
      ]),
    ).toBe('ID             NAME      PORTS\npey7y3l7hp16   nginx     \n');
  });

  test('cuts a long error to its width with an ellipsis', () => {
    expect(ellipsis('no suitable node (scheduling constraints)', 30)).toBe(
      'no suitable node (scheduling …',
    );
  });

  test('orders names as a reader would', () => {
    expect(['node-10', 'node-2', 'node-1'].toSorted(compareNaturally)).toEqual([
      'node-1',
      'node-2',
      'node-10',
    ]);
  });
});

describe('units', () => {
  test.each([
    [500, 'Less than a second'],
    [1_200, '1 second'],
    [59_000, '59 seconds'],
    [61_000, 'About a minute'],
    [130_000, '2 minutes'],
    [3_600_000, 'About an hour'],
    [5 * 3_600_000, '5 hours'],
    [50 * 3_600_000, '2 days'],
    [15 * 86_400_000, '2 weeks'],
  ])('%d ms is %s', (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });

  test.each([
    ['1h30m', 5_400e9, '1h30m0s'],
    ['1.5s', 1.5e9, '1.5s'],
    ['100ms', 1e8, '100ms'],
    ['0s', 0, '0s'],
  ])('the duration %s is read and written back', (text, nanos, back) => {
    expect(parseDuration(text)).toBe(nanos);
    expect(goDuration(nanos)).toBe(back);
  });

  test('what is no duration or size is not guessed', () => {
    expect([parseDuration('10'), parseDuration('x'), parseBytes('12q'), parseBytes('')]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test.each([
    ['64m', 64 * 2 ** 20, '64MiB'],
    ['1.5GiB', 1.5 * 2 ** 30, '1.5GiB'],
    ['1024', 1024, '1KiB'],
  ])('the size %s is read and shown', (text, bytes, shown) => {
    expect(parseBytes(text)).toBe(bytes);
    expect(byteSize(bytes)).toBe(shown);
  });
});

describe('a template', () => {
  const node = {
    ID: 'n1',
    Spec: { Labels: { zone: 'a', disk: 'ssd' }, Role: 'worker' },
    N: [1, 2],
  };
  test.each([
    ['{{.ID}}', 'n1'],
    ['{{.Spec.Role}}\\t{{.ID}}', 'worker\tn1'],
    ['{{json .Spec.Labels}}', '{"zone":"a","disk":"ssd"}'],
    ['{{range $k, $v := .Spec.Labels}}{{$k}}={{$v}} {{end}}', 'disk=ssd zone=a '],
    ['{{if eq .Spec.Role "worker"}}W{{else}}M{{end}}', 'W'],
    ['{{if .ManagerStatus}}M{{else if .ID}}W{{end}}', 'W'],
    ['{{index .Spec.Labels "zone"}}', 'a'],
    ['{{.ID | upper | printf "%-4s|"}}', 'N1  |'],
    ['{{range .N}}<{{.}}>{{end}}', '<1><2>'],
    ['{{with .Spec}}{{.Role}} {{$.ID}}{{end}}', 'worker n1'],
    ['{{len .N}} {{ .Missing }}', '2 <no value>'],
    ['a {{- /* note */ -}} b', 'ab'],
    ['{{(index .N 1)}}', '2'],
    ['{{.Spec.Labels}}', 'map[disk:ssd zone:a]'],
  ])('%s gives %s', (source, result) => {
    expect(compileTemplate(source)(node)).toBe(result);
  });

  test('gives a field of a row the argument it takes, and says when there is none', () => {
    const row = aRow({ Label: (key: string) => `<${key}>` });
    expect(compileTemplate('{{.Label "zone" | upper}}')(row)).toBe('<ZONE>');
    expect(() => compileTemplate('{{.Label}}')(row)).toThrow(
      'wrong number of args for Label: want 1 got 0',
    );
  });

  test('has bytes as numbers, as text and as base64', () => {
    const data = new Bytes(btoa('hi'));
    expect(compileTemplate('{{.}} {{printf "%s %q" . .}} {{json .}} {{len .}}')(data)).toBe(
      '[104 105] hi "hi" "aGk=" 2',
    );
  });

  test('names what it cannot parse, and the field a row does not have', () => {
    expect(() => compileTemplate('{{.ID')).toThrow('template parsing error: unclosed action');
    expect(() => compileTemplate('{{nope .}}')({})).toThrow('function "nope" not defined');
    expect(() => compileTemplate('{{.Nope}}')(aRow({ ID: 'x' }))).toThrow(
      "can't evaluate field Nope",
    );
  });
});

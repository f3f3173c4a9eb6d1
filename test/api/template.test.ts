import { describe, expect, test } from 'vitest';
import {
  type ContainerSpec,
  expandContainerSpec,
  expandPayload,
  type Task,
} from '../../src/api/index.ts';
import type { ContainerSpecInput } from '../../src/api/gen/types.ts';
import { aTask } from '../support/builders.ts';

const node = { hostname: 'host-1', platform: { architecture: 'x86_64', os: 'linux' } };

const templated = (container: ContainerSpecInput, slot = '10'): Task =>
  aTask({
    id: 'taskID',
    serviceId: 'serviceID',
    nodeId: 'nodeID',
    slot,
    serviceAnnotations: { name: 'web', labels: { tier: 'front', 'com.example.a': 'b' } },
    spec: { container: { image: 'nginx', ...container } },
  });

const specOf = (task: Task): ContainerSpec => {
  const spec = task.spec?.container;
  if (spec === null || spec === undefined) throw new Error('a task with a container');
  return spec;
};

const expand = (container: ContainerSpecInput, slot?: string): ContainerSpec => {
  const task = templated(container, slot);
  return expandContainerSpec(task, specOf(task), node);
};

/** What an expression becomes. */
const valueOf = (expression: string, slot?: string): string =>
  expand({ hostname: expression }, slot).hostname;

describe('expandContainerSpec', () => {
  test.each([
    ['{{.Service.ID}} {{.Service.Name}}', 'serviceID web'],
    ['{{.Node.ID}}-{{.Node.Hostname}}', 'nodeID-host-1'],
    ['{{.Node.Platform.Architecture}}/{{.Node.Platform.OS}}', 'x86_64/linux'],
    ['{{.Task.ID}} {{.Task.Name}} {{.Task.Slot}}', 'taskID web.10.taskID 10'],
    ['{{ index .Service.Labels "com.example.a" }}', 'b'],
    ['{{index .Service.Labels "none"}}', ''],
    ['{{.Service.Labels.tier}}', 'front'],
    ['{{join "-" .Service.Name .Task.Slot "x"}}', 'web-10-x'],
    ['{{.Task.Slot | join "," "a"}}', 'a,10'],
    ['{{join "," (index .Service.Labels "tier") "`"}}', 'front,`'],
    ['a {{- " b " -}} c', 'a b c'],
    ['{{/* said to nobody */}}x', 'x'],
    ['{{range $k, $v := .Service.Labels}}{{$k}}={{$v}},{{end}}', 'com.example.a=b,tier=front,'],
    ['{{if eq .Task.Slot "10"}}ten{{else}}other{{end}}', 'ten'],
    ['{{if .Service.Labels.tier}}{{with .Node}}{{.ID}}{{end}}{{end}}', 'nodeID'],
    ['no placeholder } {', 'no placeholder } {'],
  ])('%s becomes %s', (expression, value) => {
    expect(valueOf(expression)).toBe(value);
  });

  test('a task without a slot has its node for one', () => {
    expect(valueOf('{{.Task.Slot}}', '0')).toBe('nodeID');
  });

  test('of the environment the values are expanded, and not the names', () => {
    expect(expand({ env: ['A={{.Task.Slot}}=1', '{{.No}}=x', 'BARE', '{{.No}}'] }).env).toEqual([
      'A=10=1',
      '{{.No}}=x',
      'BARE',
      '{{.No}}',
    ]);
  });

  test('of a mount, source, target and volume options are expanded', () => {
    const [mount] = expand({
      mounts: [
        {
          type: 'VOLUME',
          source: 'data-{{.Task.Slot}}',
          target: '/{{.Service.Name}}',
          volumeOptions: {
            labels: { of: '{{.Task.Name}}' },
            driverConfig: { name: 'local', options: { o: '{{.Node.ID}}' } },
          },
        },
      ],
    }).mounts;
    expect(mount).toMatchObject({
      source: 'data-10',
      target: '/web',
      volumeOptions: {
        labels: { of: 'web.10.taskID' },
        driverConfig: { options: { o: 'nodeID' } },
      },
    });
  });

  test.each([
    [
      { hostname: '{{.Foo}}' },
      'expanding hostname failed: template: expansion:1:2: executing "expansion" at <.Foo>: ' +
        "can't evaluate field Foo in type template.Context",
    ],
    [
      { env: ['X={{.Service.Labels.none}}'] },
      'expanding env failed: expanding env "X={{.Service.Labels.none}}": template: expansion:1:10: ' +
        'executing "expansion" at <.Service.Labels.none>: map has no entry for key "none"',
    ],
    [
      { mounts: [{ target: '/x', source: '{{nope}}' }] },
      'expanding mounts failed: expanding mount source "{{nope}}": ' +
        'template: expansion:1: function "nope" not defined',
    ],
    [{ hostname: '{{.Task' }, 'expanding hostname failed: template: expansion:1: unclosed action'],
    [
      { hostname: '{{if .Task.ID}}' },
      'expanding hostname failed: template: expansion:1: unexpected EOF',
    ],
  ] satisfies Array<[ContainerSpecInput, string]>)(
    '%j fails as in the original',
    (spec, message) => {
      expect(() => expand(spec)).toThrow(message);
    },
  );
});

describe('expandPayload', () => {
  const task = templated({ env: ['PORT=80'] });
  const sources = {
    secret: (target: string): string => {
      if (target !== 'password') throw new Error(`secret target ${target} not found`);
      return 's3cret';
    },
    config: (target: string): string => `config ${target}`,
  };
  const payload = (text: string): string =>
    expandPayload(text, task, specOf(task), { node, sources });

  test('it may read the secrets, the configs and the environment of its task', () => {
    expect(payload('{{secret "password"}} {{config "c"}} {{env "PORT"}} {{.Service.Name}}')).toBe(
      's3cret config c 80 web',
    );
  });

  test('a secret the task has not is an error that names it', () => {
    expect(() => payload('{{secret "other"}}')).toThrow(
      'executing "expansion" at <secret>: error calling secret: secret target other not found',
    );
  });
});

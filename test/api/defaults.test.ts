import { describe, expect, test } from 'vitest';
import {
  codecOf,
  isEqual,
  restartPolicyOf,
  updateConfigOf,
  withDefaults,
} from '../../src/api/index.ts';

const spec = codecOf('ServiceSpec').create({
  task: { container: { image: 'nginx' } },
  global: {},
});

describe('withDefaults', () => {
  test('fills everything that a service spec may leave out', () => {
    expect(withDefaults(spec)).toMatchObject({
      task: {
        container: {
          image: 'nginx',
          stopGracePeriod: { seconds: '10' },
          pullOptions: { registryAuth: '' },
          dnsConfig: { nameservers: [] },
        },
        resources: { limits: null, reservations: null },
        restart: { condition: 'ANY', delay: { seconds: '5' }, maxAttempts: '0' },
        placement: { constraints: [] },
      },
      update: {
        parallelism: '1',
        failureAction: 'PAUSE',
        monitor: { seconds: '5' },
        order: 'STOP_FIRST',
        maxFailureRatio: 0,
      },
      rollback: { parallelism: '1', monitor: { seconds: '5' } },
    });
  });

  test('fills what is absent and nothing else: a zero stays a zero', () => {
    const zeros = codecOf('ServiceSpec').create({
      task: {
        container: { stopGracePeriod: {} },
        restart: { delay: {} },
      },
      update: {},
      replicated: {},
    });
    const full = withDefaults(zeros);
    expect(full.task?.container?.stopGracePeriod).toEqual({ seconds: '0', nanos: 0 });
    expect(full.task?.restart).toMatchObject({ condition: 'NONE', delay: { seconds: '0' } });
    expect(full.update).toMatchObject({ parallelism: '0', monitor: { seconds: '5' } });
  });

  test('done twice changes nothing, and is a whole spec for the wire', () => {
    const full = withDefaults(spec);
    expect(isEqual(withDefaults(full), full)).toBe(true);
    const codec = codecOf('ServiceSpec');
    expect(isEqual(codec.decode(codec.encode(structuredClone(full) as never)), full)).toBe(true);
  });

  test('leaves a task that is no container without one', () => {
    const generic = codecOf('ServiceSpec').create({ task: { generic: { kind: 'wasm' } } });
    expect(withDefaults(generic).task).not.toHaveProperty('container');
  });
});

test('a policy that is there means what it says, but for a delay it does not name', () => {
  const policy = codecOf('RestartPolicy').create({ condition: 'NONE', maxAttempts: '3' });
  expect(restartPolicyOf(policy)).toEqual({ ...policy, delay: { seconds: '5', nanos: 0 } });
  expect(updateConfigOf(undefined).parallelism).toBe('1');
});

import { describe, expect, test } from 'vitest';
import type { LogMessage, SubscriptionMessageInput } from '../../src/api/gen/types.ts';
import { AgentWorld, type RunningAgent } from '../support/agent-world.ts';
import { assigned } from '../support/fake-manager.ts';

const image = (name: string) => ({ container: { image: name } });

async function runningWorld(): Promise<{ world: AgentWorld; agent: RunningAgent }> {
  const world = new AgentWorld({
    web: { lines: ['one', 'two', 'three'] },
    api: { lines: ['api'] },
    big: { lines: Array.from({ length: 1_000 }, (_, i) => `line ${i}`) },
  });
  const common = { nodeId: 'node', desiredState: 'RUNNING' } as const;
  world.manager.assignment = [
    assigned({ ...common, id: 'w', serviceId: 'web', spec: image('web') }),
    assigned({ ...common, id: 'a', serviceId: 'api', spec: image('api') }),
    assigned({ ...common, id: 'b', serviceId: 'big', spec: image('big') }),
  ];
  const agent = world.start();
  await world.clock.advance(1_000);
  return { world, agent };
}

const textOf = (messages: readonly LogMessage[]): string[] =>
  messages.map(({ data }) => data.toString());

async function logsFor(subscription: SubscriptionMessageInput): Promise<string[]> {
  const { world, agent } = await runningWorld();
  world.manager.subscribe({ id: 's', ...subscription });
  await world.clock.advance(1_000);
  await agent.stop();
  const { published } = world.manager;
  expect(published.map(({ isClosed }) => isClosed)).toEqual(
    published.map((_, i) => i === published.length - 1),
  );
  return textOf(published.flatMap(({ messages }) => messages));
}

describe('LogPublisher', () => {
  test('sends the logs of a service, then closes', async () => {
    expect(await logsFor({ selector: { serviceIds: ['web'] } })).toEqual(['one', 'two', 'three']);
  });

  test('sends the logs of single tasks', async () => {
    expect(await logsFor({ selector: { taskIds: ['a', 'unknown'] } })).toEqual(['api']);
  });

  test('a tail of -3 is the last two lines, one of -1 none', async () => {
    const selector = { serviceIds: ['web'] };
    expect(await logsFor({ selector, options: { tail: -3 } })).toEqual(['two', 'three']);
    expect(await logsFor({ selector, options: { tail: -1 } })).toEqual([]);
  });

  test('a tail from the start, which the engine does not know, closes without a line', async () => {
    const selector = { serviceIds: ['web'] };
    expect(await logsFor({ selector, options: { tail: 3 } })).toEqual([]);
  });

  test('a subscription without a selector closes without a line', async () => {
    expect(await logsFor({})).toEqual([]);
  });

  test('sends many lines, all of them and in order', async () => {
    const lines = await logsFor({ selector: { serviceIds: ['big'] } });
    expect(lines).toEqual(Array.from({ length: 1_000 }, (_, i) => `line ${i}`));
  });

  test('each line says where it comes from', async () => {
    const { world, agent } = await runningWorld();
    world.manager.subscribe({ id: 's', selector: { taskIds: ['a'] } });
    await world.clock.advance(100);
    expect(world.manager.published[0]?.messages[0]).toMatchObject({
      context: { nodeId: 'node', serviceId: 'api', taskId: 'a' },
      stream: 'LOG_STREAM_STDOUT',
      attrs: [{ key: 'task', value: 'a' }],
    });
    await agent.stop();
  });

  test('a subscription that follows hears of tasks to come, until it is closed', async () => {
    const { world, agent } = await runningWorld();
    const { manager } = world;
    manager.subscribe({ id: 's', selector: { serviceIds: ['api'] }, options: { follow: true } });
    await world.clock.advance(100);
    manager.send(
      assigned({ id: 'a2', serviceId: 'api', spec: image('api'), desiredState: 'RUNNING' }),
    );
    await world.clock.advance(1_000);
    const messages = manager.published.flatMap((p) => p.messages);
    expect(messages.map(({ context }) => context?.taskId)).toEqual(['a', 'a2']);
    expect(manager.published.some(({ isClosed }) => isClosed)).toBe(false);
    manager.subscribe({ id: 's', close: true });
    await world.clock.advance(100);
    expect(manager.published.at(-1)?.isClosed).toBe(true);
    expect(manager.registrations).toHaveLength(1);
    await agent.stop();
  });

  test('a subscription that is told twice is answered once', async () => {
    const { world, agent } = await runningWorld();
    const twice = { id: 's', selector: { taskIds: ['a'] }, options: { follow: true } };
    world.manager.subscribe(twice);
    world.manager.subscribe(twice);
    await world.clock.advance(100);
    expect(textOf(world.manager.published.flatMap((p) => p.messages))).toEqual(['api']);
    await agent.stop();
  });

  test('reads no further than a little ahead of a manager that takes nothing', async () => {
    const { world, agent } = await runningWorld();
    world.manager.isStalled = true;
    world.manager.subscribe({ id: 's', selector: { taskIds: ['b'] } });
    await world.clock.advance(1_000);
    expect(world.executor.linesRead).toBeGreaterThan(0);
    expect(world.executor.linesRead).toBeLessThan(400);
    await agent.stop();
  });

  test('more subscriptions than are answered at once are closed without a line', async () => {
    const { world, agent } = await runningWorld();
    for (let i = 0; i < 257; i += 1) {
      const selector = { taskIds: ['a'] };
      world.manager.subscribe({ id: `s${i}`, selector, options: { follow: true } });
    }
    await world.clock.advance(100);
    const { published } = world.manager;
    expect(published.filter(({ isClosed }) => isClosed).map((p) => p.subscriptionId)).toEqual([
      's256',
    ]);
    expect(published.filter((p) => p.messages.length > 0)).toHaveLength(256);
    await agent.stop();
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SwarmError } from '../../src/runtime/index.ts';
import type { ContainerBody, ContainerEvent, Engine } from '../../src/worker/docker/engine-port.ts';
import { systemLabel } from '../../src/worker/docker/config/labels.ts';
import { messagesOf } from '../../src/worker/docker/logs.ts';
import type { Program } from '../support/fake-engine.ts';

/** The commands the suite runs, and what they do: a fake Engine is told, a real one knows. */
export const compliancePrograms: ReadonlyMap<string, Program> = new Map([
  ['sh -c exit 3', { exitCode: 3 }],
  ['sh -c echo out; sleep 0.1; echo err >&2', { stdout: 'out\n', stderr: 'err\n', exitCode: 0 }],
  ['/hold', { trapsTerm: true }],
  ['sleep 1000', {}],
  ['/none', { startError: 'exec: "/none": no such file or directory' }],
]);

export const complianceImages = ['busybox:latest', 'hold:latest'];

/** What every {@link Engine} does. The suite makes containers of its own, and removes them. */
export function describeEngine(name: string, open: () => Engine): void {
  describe(`Engine, ${name}`, () => {
    let engine: Engine;
    let container = '';
    let count = 0;
    const { signal } = new AbortController();

    beforeEach(() => {
      engine = open();
      container = `compliance-${name.replaceAll(' ', '-')}-${(count += 1)}`;
    });

    afterEach(async () => {
      await engine.removeContainer(container, signal);
    });

    const bodyOf = (Cmd: readonly string[], more: Partial<ContainerBody> = {}): ContainerBody => ({
      Image: 'busybox:latest',
      Labels: { [systemLabel.task]: '', [systemLabel.taskId]: container, compliance: container },
      Cmd,
      StopTimeout: 1,
      HostConfig: {},
      ...more,
    });

    const start = async (Cmd: readonly string[]): Promise<void> => {
      await engine.createContainer(container, bodyOf(Cmd), signal);
      await engine.startContainer(container, signal);
    };

    /** The next event of the container whose action is one of these. */
    const untilEvent = async (
      actions: readonly string[],
      act: () => Promise<void>,
    ): Promise<ContainerEvent> => {
      for await (const event of engine.events(signal)) {
        if (event === 'connected') await act();
        else if (event.name === container && actions.includes(event.action)) return event;
      }
      throw new Error('the events have ended');
    };

    test('it describes itself', async () => {
      const info = await engine.info(signal);
      expect(info.NCPU).toBeGreaterThan(0);
      expect(info.OSType).toBe('linux');
    });

    test('it knows which images it has', async () => {
      expect(await engine.hasImage('busybox:latest', signal)).toBe(true);
      expect(await engine.hasImage('nosuchimage:1', signal)).toBe(false);
    });

    test('an image that cannot be pulled is an error', async () => {
      const progress = engine.pullImage('nosuchimage:1', undefined, signal);
      await expect(untilEnd(progress)).rejects.toThrow(SwarmError);
    });

    test('a container is created, runs, and ends with its exit code', async () => {
      await engine.createContainer(container, bodyOf(['sh', '-c', 'exit 3']), signal);
      expect((await engine.inspectContainer(container, signal))?.State.Status).toBe('created');
      const died = await untilEvent(['die'], async () => engine.startContainer(container, signal));
      expect(died.exitCode).toBe(3);
      const info = await engine.inspectContainer(container, signal);
      expect(info?.State).toMatchObject({ Status: 'exited', Running: false, ExitCode: 3 });
    });

    test('a name is given once', async () => {
      await engine.createContainer(container, bodyOf(['/hold']), signal);
      await expect(
        engine.createContainer(container, bodyOf(['/hold']), signal),
      ).rejects.toMatchObject({ code: 'already-exists' });
    });

    test('a container of an image that is not there cannot be created', async () => {
      await expect(
        engine.createContainer(container, bodyOf([], { Image: 'nosuchimage:1' }), signal),
      ).rejects.toMatchObject({ code: 'not-found', message: 'No such image: nosuchimage:1' });
    });

    test('a command that is not there is an error at the start', async () => {
      await expect(start(['/none'])).rejects.toThrow('/none');
    });

    test('to start what runs does no harm', async () => {
      await start(['/hold']);
      await engine.startContainer(container, signal);
      expect((await engine.inspectContainer(container, signal))?.State.Running).toBe(true);
    });

    test('a container that listens to its stop signal ends by itself', async () => {
      await start(['/hold']);
      await engine.stopContainer(container, signal);
      expect((await engine.inspectContainer(container, signal))?.State.ExitCode).toBe(0);
      await engine.stopContainer(container, signal);
    });

    test('one that does not is killed after its stop timeout', async () => {
      await start(['sleep', '1000']);
      await engine.stopContainer(container, signal);
      expect((await engine.inspectContainer(container, signal))?.State).toMatchObject({
        Running: false,
        ExitCode: 137,
      });
    });

    test('what is not there cannot be started or stopped, but removed', async () => {
      await expect(engine.startContainer(container, signal)).rejects.toMatchObject({
        code: 'not-found',
      });
      await expect(engine.stopContainer(container, signal)).rejects.toMatchObject({
        code: 'not-found',
      });
      await engine.removeContainer(container, signal);
      expect(await engine.inspectContainer(container, signal)).toBeUndefined();
    });

    test('to remove a running container kills it, and both are told', async () => {
      await start(['/hold']);
      const remove = async (): Promise<void> => engine.removeContainer(container, signal);
      expect(await untilEvent(['die'], remove)).toMatchObject({ exitCode: 137 });
      expect(await engine.inspectContainer(container, signal)).toBeUndefined();
    });

    test('containers are found by their labels', async () => {
      await start(['/hold']);
      const found = await engine.listContainers({ compliance: container }, signal);
      expect(found.map((labels) => labels[systemLabel.taskId])).toEqual([container]);
      expect(await engine.listContainers({ compliance: 'other' }, signal)).toEqual([]);
    });

    test('the log tells which stream a message is of, and when it was written', async () => {
      await untilEvent(['die'], async () =>
        start(['sh', '-c', 'echo out; sleep 0.1; echo err >&2']),
      );
      const flags = {
        stdout: true,
        stderr: true,
        follow: true,
        tail: 'all',
        since: undefined,
      } as const;
      const messages = [];
      for await (const message of messagesOf(engine.logs(container, flags, signal), false)) {
        messages.push(message);
      }
      expect(messages.map(({ stream, data }) => [stream, data.toString()])).toEqual([
        ['STDOUT', 'out\n'],
        ['STDERR', 'err\n'],
      ]);
      expect(Number(messages[0]?.timestamp.seconds)).toBeGreaterThan(1_700_000_000);
    });

    test('an aborted call ends with the reason of its signal', async () => {
      await start(['sleep', '1000']);
      const reason = new Error('enough');
      const abort = new AbortController();
      const events = untilAborted(engine.events(abort.signal), abort, reason);
      await expect(events).rejects.toBe(reason);
      await expect(engine.info(abort.signal)).rejects.toBe(reason);
    });
  });
}

async function untilEnd(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

async function untilAborted(
  events: AsyncIterable<unknown>,
  abort: AbortController,
  reason: Error,
): Promise<void> {
  for await (const _ of events) abort.abort(reason);
}

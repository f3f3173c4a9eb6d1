import { describe, expect, test } from 'vitest';
import { runInProcess, startOfTests } from '../../support/cli.ts';
import { type Asked, FakeDaemon, refusal } from '../../support/fake-daemon.ts';

const ago = (seconds: number): string => new Date(startOfTests - seconds * 1_000).toISOString();

const nodes = [
  {
    ID: 'hsfyyydksrurnq0nhyet49rxl',
    Spec: { Role: 'worker', Availability: 'drain' },
    Description: { Hostname: 'node-10', Engine: { EngineVersion: '27.1' } },
    Status: { State: 'down' },
  },
  {
    ID: 'j7tg0s4kt6cnw8dzzemd67a2g',
    Spec: { Role: 'manager', Availability: 'active' },
    Description: {
      Hostname: 'node-2',
      Engine: { EngineVersion: '27.1' },
      TLSInfo: { TrustRoot: 'root' },
    },
    Status: { State: 'ready' },
    ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: '10.0.0.2:2377' },
  },
];

const services = [
  {
    ID: 'kya888yocp8pph5g5m1n4yzlu',
    Spec: {
      Name: 'web',
      TaskTemplate: {
        ContainerSpec: { Image: 'nginx:1.24@sha256:00' },
        Placement: { MaxReplicas: 2 },
      },
      Mode: { Replicated: { Replicas: 4 } },
    },
    ServiceStatus: { RunningTasks: 3, DesiredTasks: 4 },
    Endpoint: {
      Ports: [
        { Protocol: 'udp', TargetPort: 53, PublishedPort: 53, PublishMode: 'ingress' },
        { Protocol: 'tcp', TargetPort: 81, PublishedPort: 8001, PublishMode: 'ingress' },
        { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8000, PublishMode: 'ingress' },
        { Protocol: 'tcp', TargetPort: 99, PublishedPort: 90, PublishMode: 'ingress' },
        { Protocol: 'tcp', TargetPort: 99, PublishedPort: 91, PublishMode: 'ingress' },
        { Protocol: 'tcp', TargetPort: 80, PublishedPort: 7000, PublishMode: 'host' },
      ],
    },
  },
  {
    ID: 'usyg2igf7xq9dcnfjrwfjwt9v',
    Spec: {
      Name: 'job',
      TaskTemplate: { ContainerSpec: { Image: 'done:latest' } },
      Mode: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 6 } },
    },
    ServiceStatus: { RunningTasks: 0, DesiredTasks: 2, CompletedTasks: 6 },
  },
];

const task = (id: string, slot: number, seconds: number, more: object = {}) => ({
  ID: id.padEnd(25, '0'),
  ServiceID: 'kya888yocp8pph5g5m1n4yzlu',
  NodeID: 'j7tg0s4kt6cnw8dzzemd67a2g',
  Slot: slot,
  CreatedAt: ago(seconds),
  DesiredState: 'running',
  Spec: { ContainerSpec: { Image: 'nginx:1.24@sha256:00' } },
  Status: { State: 'running', Timestamp: ago(seconds) },
  ...more,
});

const port = { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' };
const tasks = [
  task('old', 2, 90, {
    DesiredState: 'shutdown',
    Status: {
      State: 'failed',
      Timestamp: ago(70),
      Err: 'starting container failed: no such thing here',
    },
  }),
  task('new', 2, 1, { Status: { State: 'starting', Timestamp: ago(0) } }),
  task('ten', 10, 5, { NodeID: 'gone' }),
  // An Engine reports a port once for each family of addresses.
  task('one', 1, 5, {
    Status: { State: 'running', Timestamp: ago(5), PortStatus: { Ports: [port, port] } },
  }),
];

async function run(...words: readonly string[]) {
  await using daemon = await FakeDaemon.start();
  daemon
    .on('GET /nodes', nodes)
    .on('GET /nodes/node-2', nodes[1])
    .on('GET /nodes/j7tg0s4kt6cnw8dzzemd67a2g', nodes[1])
    .on('GET /services', ({ query }: Asked) => {
      const { name, id } = JSON.parse(query['filters'] ?? '{}') as Record<string, object>;
      if (name === undefined && id === undefined) return services;
      return services.filter(({ Spec }) => Object.hasOwn(name ?? {}, Spec.Name));
    })
    .on('GET /services/web', services[0])
    .on('GET /tasks', tasks)
    .on('GET /tasks/new', tasks[1])
    .on('GET /swarm', { TLSInfo: { TrustRoot: 'root' } })
    .on('GET /info', { Swarm: { NodeID: 'j7tg0s4kt6cnw8dzzemd67a2g' } })
    .on('DELETE /services/web', {})
    .on('DELETE /services/job', {})
    .on('DELETE /nodes/node-10', refusal(400, 'node node-10 is not down'));
  const ran = await runInProcess(words, daemon);
  return { ...ran, asked: daemon.asked };
}

describe('node ls', () => {
  test('shows nodes by name, and which one the daemon stands on', async () => {
    const { out } = await run('node', 'ls');
    expect(out.split('\n')).toEqual([
      'ID                            HOSTNAME   STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION',
      'j7tg0s4kt6cnw8dzzemd67a2g *   node-2     Ready     Active         Leader           27.1',
      'hsfyyydksrurnq0nhyet49rxl     node-10    Down      Drain                           27.1',
      '',
    ]);
  });

  test('--quiet shows IDs', async () => {
    expect((await run('node', 'ls', '-q')).out).toBe(
      'j7tg0s4kt6cnw8dzzemd67a2g\nhsfyyydksrurnq0nhyet49rxl\n',
    );
  });

  test('--format json shows an object a line, its fields by name', async () => {
    const { out } = await run('node', 'ls', '--format', 'json');
    expect(out.split('\n')[0]).toBe(
      '{"Availability":"Active","EngineVersion":"27.1","Hostname":"node-2","ID":"j7tg0s4kt6cnw8dzzemd67a2g","ManagerStatus":"Leader","Self":true,"Status":"Ready","TLSStatus":"Ready"}',
    );
  });

  test('--format applies a template, in a table if it is to be one', async () => {
    const template = await run('node', 'ls', '--format', '{{.Hostname}} {{.TLSStatus}}');
    expect(template.out).toBe('node-2 Ready\nnode-10 Unknown\n');
    const table = await run('node', 'ls', '--format', 'table {{.Hostname}}\\t{{.Status}}');
    expect(table.out).toBe('HOSTNAME   STATUS\nnode-2     Ready\nnode-10    Down\n');
  });

  test('--filter is for the manager to apply', async () => {
    const { asked } = await run(
      'node',
      'ls',
      '-f',
      'role=worker',
      '-f',
      'role=manager',
      '-f',
      'name=a',
    );
    expect(JSON.parse(asked[0]?.query['filters'] ?? '')).toEqual({
      role: { worker: true, manager: true },
      name: { a: true },
    });
  });
});

describe('service ls', () => {
  test('shows services by name, with ports next to each other in one', async () => {
    const { out } = await run('service', 'ls');
    expect(out.split('\n')).toEqual([
      'ID             NAME      MODE             REPLICAS               IMAGE         PORTS',
      'usyg2igf7xq9   job       replicated job   0/2 (6/6 completed)    done:latest   ',
      'kya888yocp8p   web       replicated       3/4 (max 2 per node)   nginx:1.24    *:90-91->99/tcp, *:8000-8001->80-81/tcp, *:53->53/udp',
      '',
    ]);
  });

  test('--quiet shows the IDs of the table', async () => {
    expect((await run('service', 'ls', '-q')).out).toBe('usyg2igf7xq9\nkya888yocp8p\n');
  });
});

describe('service ps', () => {
  test('shows tasks by name, the newest of each first, and each port once', async () => {
    const { out } = await run('service', 'ps', 'web');
    expect(out.split('\n')).toEqual([
      'ID             NAME        IMAGE        NODE      DESIRED STATE   CURRENT STATE                     ERROR                            PORTS',
      'one000000000   web.1       nginx:1.24   node-2    Running         Running 5 seconds ago                                              *:8080->80/tcp',
      'new000000000   web.2       nginx:1.24   node-2    Running         Starting less than a second ago                                    ',
      'old000000000    \\_ web.2   nginx:1.24   node-2    Shutdown        Failed about a minute ago         "starting container failed: …"   ',
      'ten000000000   web.10      nginx:1.24   gone      Running         Running 5 seconds ago                                              ',
      '',
    ]);
  });

  test('--no-trunc and --no-resolve show everything as it is', async () => {
    const { out } = await run('service', 'ps', '--no-trunc', '--no-resolve', 'web');
    expect(out).toContain('"starting container failed: no such thing here"');
    expect(out).toContain('one0000000000000000000000   kya888yocp8pph5g5m1n4yzlu.1 ');
    expect(out).toContain('nginx:1.24@sha256:00   j7tg0s4kt6cnw8dzzemd67a2g');
  });

  test('fails for services that are not there, after those that are', async () => {
    const { out, err, exitCode } = await run('service', 'ps', '-q', 'nosuch', 'web');
    expect({ err, exitCode }).toEqual({ err: 'no such service: nosuch\n', exitCode: 1 });
    expect(out.split('\n')[0]).toBe('one0000000000000000000000');
  });
});

describe('node ps', () => {
  test('is about the own node if none is named', async () => {
    const { asked } = await run('node', 'ps');
    const { query } = asked.find(({ path }) => path === '/tasks') ?? {};
    expect(query?.['filters']).toBe('{"node":{"j7tg0s4kt6cnw8dzzemd67a2g":true}}');
  });
});

describe('inspect', () => {
  test('shows what is there, and fails for what is not', async () => {
    const { out, err, exitCode } = await run('service', 'inspect', 'nosuch', 'web');
    expect({ err, exitCode }).toEqual({ err: 'Error: no such service: nosuch\n', exitCode: 1 });
    expect(JSON.parse(out)).toEqual([services[0]]);
    expect(out).toMatch(/^\[\n {4}\{\n {8}"ID"/u);
    expect(await run('node', 'inspect', 'nosuch')).toMatchObject({
      out: '[]\n',
      err: 'Error response from daemon: node nosuch not found\n',
      exitCode: 1,
    });
  });

  test('--format json is an array in one line, and a template is applied to each', async () => {
    const json = await run('node', 'inspect', '-f', 'json', 'self');
    expect(json.out).toBe(`${JSON.stringify([nodes[1]])}\n`);
    const template = await run('node', 'inspect', '-f', '{{.Spec.Role}}', 'self', 'node-2');
    expect(template.out).toBe('manager\nmanager\n');
    expect((await run('task', 'inspect', '-f', '{{.Slot}}', 'new')).out).toBe('2\n');
  });

  test('--pretty and --format exclude each other', async () => {
    const { exitCode, err } = await run('node', 'inspect', '--pretty', '-f', 'x', 'self');
    expect(exitCode).toBe(1);
    expect(err).toBe('--format is incompatible with human friendly format\n');
  });
});

describe('rm', () => {
  test('goes on past what is not there', async () => {
    const { out, err, exitCode } = await run('service', 'rm', 'web', 'nosuch', 'job');
    expect({ out, err, exitCode }).toEqual({
      out: 'web\njob\n',
      err: 'Error response from daemon: service nosuch not found\n',
      exitCode: 1,
    });
  });

  test('says of each failure why', async () => {
    const { err, exitCode } = await run('node', 'rm', 'nosuch', 'node-10');
    expect(exitCode).toBe(1);
    expect(err.split('\n').length).toBe(3);
    expect(err).toContain('node node-10 is not down');
  });
});

import { describe, expect, test } from 'vitest';
import { prettyNode } from '../../../src/cli/commands/node-pretty.ts';
import { prettyService } from '../../../src/cli/service/pretty.ts';

const nowMs = Date.UTC(2026, 10, 22, 18, 0, 0);

describe('service inspect --pretty', () => {
  test('shows a service as docker does', () => {
    const config = {
      Parallelism: 1,
      Delay: 1e9,
      FailureAction: 'pause',
      Monitor: 5e9,
      MaxFailureRatio: 0,
    };
    const service = {
      ID: 'kya888yocp8pph5g5m1n4yzlu',
      Spec: {
        Name: 'web',
        Labels: { tier: 'front' },
        TaskTemplate: {
          ContainerSpec: {
            Image: 'nginx:1.24',
            Env: ['A=1', 'B=2'],
            Dir: '/',
            User: 'root',
            Init: false,
            Mounts: [{ Type: 'tmpfs', Target: '/scratch' }],
            Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5e9, Retries: 3 },
          },
          Resources: {
            Limits: { NanoCPUs: 5e8, MemoryBytes: 67_108_864 },
            Reservations: { MemoryBytes: 16_777_216 },
          },
          Placement: {
            Constraints: ['node.platform.os==linux'],
            Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
          },
          Networks: [{ Target: 'network1' }],
          LogDriver: { Name: 'json-file', Options: { 'max-size': '1m' } },
        },
        Mode: { Replicated: { Replicas: 4 } },
        UpdateConfig: { ...config, Order: 'stop-first' },
        EndpointSpec: { Mode: 'vip' },
      },
      Endpoint: {
        Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'host' }],
      },
      UpdateStatus: {
        State: 'updating',
        StartedAt: '2026-11-22T17:59:45Z',
        Message: 'update in progress',
      },
    };
    expect(prettyService(service, { nowMs, networks: ['front'] })).toBe(`
ID:\t\tkya888yocp8pph5g5m1n4yzlu
Name:\t\tweb
Labels:
 tier=front
Service Mode:\tReplicated
 Replicas:\t4
UpdateStatus:
 State:\t\tupdating
 Started:\t15 seconds ago
 Message:\tupdate in progress
Placement:
 Constraints:\t[node.platform.os==linux]
 Preferences:   [spread=node.labels.zone]
UpdateConfig:
 Parallelism:\t1
 Delay:\t\t1s
 On failure:\tpause
 Monitoring Period: 5s
 Max failure ratio: 0
 Update order:      stop-first
ContainerSpec:
 Image:\t\tnginx:1.24
 Env:\t\tA=1 B=2${' '}
 Dir:\t\t/
 Init:\t\tfalse
 User: root
Mounts:
 Target:\t/scratch
  Source:\t
  ReadOnly:\tfalse
  Type:\t\ttmpfs
Log Driver:
 Name:\t\tjson-file
 LogOpts:
  max-size:       1m

Resources:
 Reservations:
  Memory:\t16MiB
 Limits:
  CPU:\t\t0.5
  Memory:\t64MiB
Networks: front${' '}
Endpoint Mode:\tvip
Ports:
 PublishedPort = 8080
  Protocol = tcp
  TargetPort = 80
  PublishMode = host${' '}
 Healthcheck:
  Interval = 5s
  Retries = 3
  StartPeriod =\t0s
  Timeout =\t0s
  Tests:
\t Test = CMD-SHELL
\t Test = true${' '}

`);
  });
});

describe('node inspect --pretty', () => {
  test('shows a node as docker does', () => {
    const node = {
      ID: 'hpnr31o1tmrc7a4emz5aahct0',
      CreatedAt: '2026-11-22T15:56:28.736475331Z',
      Spec: { Labels: { zone: 'a', a2: '', a10: 'x' }, Role: 'worker', Availability: 'active' },
      Description: {
        Hostname: 'node-04',
        Platform: { OS: 'linux', Architecture: 'x86_64' },
        Resources: { NanoCPUs: 2e9, MemoryBytes: 25_276_502_016 },
        Engine: {
          EngineVersion: '20.10.24',
          Plugins: [
            { Type: 'Log', Name: 'json-file' },
            { Type: 'Log', Name: 'local' },
            { Type: 'Volume', Name: 'local' },
          ],
        },
      },
      Status: { State: 'down', Message: 'heartbeat failure', Addr: '10.88.0.14' },
    };
    expect(prettyNode(node)).toBe(`ID:\t\t\thpnr31o1tmrc7a4emz5aahct0
Labels:
 - a10=x
 - a2
 - zone=a
Hostname:              \tnode-04
Joined at:             \t2026-11-22 15:56:28.736475331 +0000 utc
Status:
 State:\t\t\tDown
 Message:              \tHeartbeat failure
 Availability:         \tActive
 Address:\t\t10.88.0.14
Platform:
 Operating System:\tlinux
 Architecture:\t\tx86_64
Resources:
 CPUs:\t\t\t2
 Memory:\t\t23.54GiB
Plugins:
 Log:\t\tjson-file, local
 Volume:\t\tlocal
Engine Version:\t\t20.10.24
`);
  });
});

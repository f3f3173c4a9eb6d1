import type { NodeDescriptionInput } from '../../src/api/gen/types.ts';

/** How many tasks an agent has, and how many of those it was told to run do run. */
export interface TaskCounts {
  readonly assigned: number;
  readonly running: number;
  readonly lostSessions: number;
}

/** An agent that runs nothing and says that it does. */
export interface Agent {
  readonly counts: TaskCounts;
  /** Resolves once its session is open. */
  readonly opened: Promise<void>;
  /** Runs until the signal aborts; rejects, if it breaks. */
  run(signal: AbortSignal): Promise<void>;
}

/** A node with room for everything. */
export const descriptionOf = (number: number): NodeDescriptionInput => ({
  hostname: `agent-${number}`,
  platform: { architecture: 'x86_64', os: 'linux' },
  resources: { nanoCpus: '64000000000', memoryBytes: String(2 ** 38) },
  engine: {
    engineVersion: '20.10.24',
    plugins: [
      ...['awslogs', 'fluentd', 'gcplogs', 'gelf', 'journald', 'json-file'].map((name) => ({
        type: 'Log',
        name,
      })),
      ...['local', 'logentries', 'splunk', 'syslog'].map((name) => ({ type: 'Log', name })),
      ...['bridge', 'host', 'ipvlan', 'macvlan', 'null', 'overlay'].map((name) => ({
        type: 'Network',
        name,
      })),
      { type: 'Volume', name: 'local' },
    ],
  },
});

import { describe, expect, test } from 'vitest';
import { paceOf } from '../../../src/manager/membership/pace.ts';
import { aCluster } from '../../support/builders.ts';

const raft = { heartbeatTick: 2, electionTick: 20, snapshotInterval: 50 };

describe('the pace of a swarm', () => {
  test('is what its settings say', () => {
    expect(paceOf(aCluster({ spec: { raft } }))).toEqual({
      heartbeatTicks: 2,
      electionTicks: 20,
      snapshotEntries: 50,
    });
  });

  test('without settings, or a cluster, is the usual one', () => {
    expect(paceOf(undefined)).toEqual({});
    expect(paceOf(aCluster({ spec: {} }))).toEqual({});
  });

  test('that no leader could keep is passed over', () => {
    const tooFast = { ...raft, electionTick: 3, snapshotInterval: 0 };
    expect(paceOf(aCluster({ spec: { raft: tooFast } }))).toEqual({});
  });
});

import type { ClusterSpec } from '../../../api/index.ts';
import { certExpiryMsMin } from '../../../ca/index.ts';
import { invalid, invalidArgument } from '../common/errors.ts';
import { checkCount, nanosIn, type WireDuration } from './quantities.ts';

/**
 * Whether these are settings as a swarm may have. swarmkit manager/controlapi/cluster.go
 *
 * @throws SwarmError invalid-argument with the first rule that is broken
 */
export function validateClusterSpec(spec: ClusterSpec | null): asserts spec is ClusterSpec {
  if (spec === null) throw invalidArgument();
  validateExpiry(spec.caConfig?.nodeCertExpiry ?? null);
  for (const { secret } of spec.acceptancePolicy?.policies ?? []) {
    if (secret !== null && secret.alg.toLowerCase() !== 'bcrypt') {
      throw invalid(`hashing algorithm is not supported: ${secret.alg}`);
    }
  }
  if (nanosIn(spec.dispatcher?.heartbeatPeriod ?? null) < 0n) {
    throw invalid('heartbeat time period cannot be a negative duration');
  }
  const { snapshotInterval, logEntriesForSlowFollowers } = spec.raft ?? {};
  checkCount('Raft snapshot interval', snapshotInterval);
  checkCount('Raft log entries for slow followers', logEntriesForSlowFollowers);
  checkHistoryLimit(spec.orchestration?.taskHistoryRetentionLimit ?? '0');
}

function validateExpiry(expiry: WireDuration): void {
  if (expiry !== null && nanosIn(expiry) < BigInt(certExpiryMsMin) * 1_000_000n) {
    throw invalid('minimum certificate expiry time must be: 1h0m0s');
  }
}

/** A negative limit means that nothing is ever forgotten. */
function checkHistoryLimit(limit: string): void {
  if (!Number.isSafeInteger(Number(limit))) throw invalid('task history limit is too large');
}

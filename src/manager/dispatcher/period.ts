import { type Cluster, toMs } from '../../api/index.ts';
import type { Random } from '../../runtime/index.ts';

const defaultPeriodMs = 5_000;

/** A period of 0 would make agents beat as fast as they can, over a thousand times a second. */
const periodMinMs = 100;

const jitterMaxMs = 500;

/** So many periods without a heartbeat, and a node is down. */
const graceMultiplier = 3;

/** A new leader waits longer: the agents have yet to find it. */
const unknownMultiplier = 2;

/**
 * Agents may pause for 8 s between two tries, if they were told of a longer period before, or if the
 * period is nothing to their pauses; then they have to be heard. swarmkit agent/session.go
 */
const unknownGraceMsMin = 8_000 + 2_000;

/** How often agents are to beat, in milliseconds; the default, if the cluster names nothing. */
export function heartbeatPeriodMs(cluster: Cluster | undefined): number {
  const wanted = toMs(cluster?.spec?.dispatcher?.heartbeatPeriod) ?? 0;
  return wanted > 0 ? Math.max(wanted, periodMinMs) : defaultPeriodMs;
}

/**
 * A period that differs from node to node and from time to time, so that the heartbeats of many do
 * not come at once: by at most 500 ms, and by a tenth. swarmkit manager/dispatcher/period.go
 */
export function jitteredPeriodMs(periodMs: number, random: Random): number {
  const jitter = Math.floor(Math.min(jitterMaxMs, periodMs / 10));
  return Math.round(periodMs) - jitter + random.integer(2 * jitter + 1);
}

/** How long a node may be silent that was told to beat with this period. */
export const graceMs = (periodMs: number): number => periodMs * graceMultiplier;

/**
 * How long a worker whose connection closed may take to come back, if its agent promised to be back
 * at once: two fifths of a period, and at least 2 s. Time for a daemon to start anew.
 */
export const returnMs = (periodMs: number): number => Math.max(2_000, periodMs * 0.4);

/** How long a worker whose agent was stopped in order may take to come back: it may be upgraded. */
export const restartMs = (periodMs: number): number => Math.max(returnMs(0), periodMs);

/** How long a node may take to find a swarm that was rebuilt: a person may have to tell it where. */
export const rebuiltGraceMs = 15 * 60_000;

/** How long a node may take to find a new leader. */
export const unknownGraceMs = (periodMs: number): number =>
  Math.max(graceMs(periodMs) * unknownMultiplier, unknownGraceMsMin);

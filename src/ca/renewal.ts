import type { CertificateRole } from '../api/index.ts';
import { type Clock, firstOf, type Log, type Random, Watch } from '../runtime/index.ts';
import { type Connect, renew } from './enrollment.ts';
import type { KeyStore } from './key-store.ts';
import type { SecurityConfig } from './security-config.ts';
import type { Validity } from './x509/certificate.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** A node looks at its wall clock at least so often: it may have jumped. */
const lookMsMax = hourMs;
/** The pauses after failures, each twice the one before. swarmkit ca/renewer.go */
const failurePauseMs = 5_000;
const failurePauseMsMax = hourMs;
/** The same, while the swarm has not yet given this node the role it is to have. */
const rolePauseMs = 100;
const rolePauseMsMax = 30_000;

interface Deps {
  readonly security: SecurityConfig;
  readonly keyStore: KeyStore;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Keeps this node's certificate fresh, and fetches one for its new role when that changes. */
export class Renewal {
  readonly #deps: Deps;
  readonly #wake = new Watch<'renew'>();
  readonly #woken = this.#wake.subscribe(undefined, 1);
  #isForced = false;
  #expectedRole: CertificateRole | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /**
   * Renews now, whatever the age of the certificate: because the swarm says so, or because this
   * node is to have another role. Asked again before it is done, it changes nothing.
   *
   * @param expectedRole the certificate is renewed until it has this role
   */
  renewNow(expectedRole?: CertificateRole): void {
    const isNews = !this.#isForced || (expectedRole ?? this.#expectedRole) !== this.#expectedRole;
    this.#expectedRole = expectedRole ?? this.#expectedRole;
    this.#isForced = true;
    if (isNews) this.#wake.publish('renew');
  }

  /** Renews at a random moment in 50–80 % of each certificate's life, and whenever it is asked to. */
  async run(signal: AbortSignal): Promise<void> {
    const { security, clock, random, log } = this.#deps;
    let dueAt = renewalTime(security.current, random);
    let failures = 0;
    let waits = 0;
    while (!signal.aborted) {
      if (failures > 0)
        await this.#pause(doubled(failurePauseMs, failures, failurePauseMsMax), signal);
      else if (waits > 0) await this.#pause(doubled(rolePauseMs, waits, rolePauseMsMax), signal);
      else await this.#untilDue(dueAt, signal);
      this.#woken.drain();
      try {
        await renew(this.#deps, signal);
        failures = 0;
        waits = this.#hasExpectedRole() ? 0 : waits + 1;
        dueAt = renewalTime(security.current, random);
        const { nodeId, role, notAfter } = security.current;
        log.info(
          { 'node.id': nodeId, role, expires: new Date(notAfter).toISOString() },
          'certificate renewed',
        );
      } catch (error) {
        signal.throwIfAborted();
        failures += 1;
        const leftMs = security.current.notAfter - clock.now();
        log.warn({ err: error, leftMs }, 'certificate not renewed');
      }
    }
  }

  /** Settles what was asked for, if the certificate in use is what was asked for. */
  #hasExpectedRole(): boolean {
    const isDone =
      this.#expectedRole === undefined || this.#deps.security.current.role === this.#expectedRole;
    if (isDone) {
      this.#isForced = false;
      this.#expectedRole = undefined;
    }
    return isDone;
  }

  async #untilDue(dueAt: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#isForced && clock.now() < dueAt) {
      await this.#pause(Math.min(dueAt - clock.now(), lookMsMax), signal);
    }
  }

  /** Waits, or until somebody asks for a renewal. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await firstOf(
      signal,
      async (inner) => this.#woken.changed(inner),
      async (inner) => this.#deps.clock.sleep(ms, inner),
    );
  }
}

/**
 * When to renew a certificate: a random whole minute in 50–80 % of its life, so that nodes that
 * joined together do not all come back together. swarmkit ca/config.go calculateRandomExpiry
 */
export function renewalTime({ notBefore, notAfter }: Validity, random: Random): number {
  const minutes = Math.floor((notAfter - notBefore) / minuteMs);
  const [earliest, latest] = [Math.floor(minutes * 0.5), Math.floor(minutes * 0.8)];
  const minute = latest - earliest < 1 ? earliest : earliest + random.integer(latest - earliest);
  return notBefore + minute * minuteMs;
}

const doubled = (baseMs: number, times: number, maxMs: number): number =>
  Math.min(baseMs * 2 ** (times - 1), maxMs);

import { SystemClock } from '../../src/runtime/index.ts';
import type { Answer, Call, Operation } from '../linearizability/history.ts';
import type { HttpAnswer } from '../support/unix-http.ts';
import type { Cluster, Host } from './cluster.ts';
import { Seeded } from './seeded.ts';

const clock = new SystemClock();

const keys = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => `register-${letter}`);

/** Where a config keeps its value: of all it has, its labels alone can be changed. */
const valueLabel = 'value';

/** A config, as far as its clients look at it. Engine API 1.47 `Config` */
interface ConfigObject {
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Labels: Readonly<Record<string, string>> };
}

/**
 * Clients of the Engine API that write and read configs through every manager, and the history of
 * what they asked and were told.
 */
export class Clients {
  readonly #cluster: Cluster;
  readonly #history: Operation[] = [];
  /** Why outcomes are unknown, and how often. */
  readonly #reasons = new Map<string, number>();
  #written = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get history(): readonly Operation[] {
    return this.#history;
  }

  /** How many operations were answered, and of how many the outcome is unknown. */
  get counts(): { readonly answered: number; readonly unknown: number } {
    const unknown = this.#history.filter(({ answer }) => answer === undefined).length;
    return { answered: this.#history.length - unknown, unknown };
  }

  /** Why outcomes are unknown: what was said, the most frequent first. */
  get reasons(): readonly string[] {
    return [...this.#reasons]
      .toSorted(([, a], [, b]) => b - a)
      .map(([reason, count]) => `${count} x ${reason}`);
  }

  /** Works until the signal aborts; then it waits for the answers that are owed. */
  async run(seed: number, signal: AbortSignal): Promise<void> {
    const names = Array.from({ length: 6 }, (_, index) => `client-${index}`);
    await Promise.all(names.map(async (name) => this.#work(new Seeded(seed, name), signal)));
  }

  async #work(chance: Seeded, signal: AbortSignal): Promise<void> {
    const seen = new Map<string, number>();
    while (!signal.aborted) {
      const key = chance.pick(keys);
      const call = this.#nextCall(chance, seen.get(key));
      const answer = await this.#ask(chance.pick(this.#cluster.managers), key, call);
      if (answer?.kind === 'found') seen.set(key, answer.version);
      else seen.delete(key);
      await clock.sleep(chance.between(20, 120), signal).catch(() => undefined);
    }
  }

  #nextCall(chance: Seeded, version: number | undefined): Call {
    const draw = chance.below(100);
    const value = `v${(this.#written += 1)}`;
    if (draw < 12) return { kind: 'create', value };
    if (draw < 17) return { kind: 'remove' };
    return version === undefined ? { kind: 'read' } : { kind: 'update', version, value };
  }

  /** Reads every object through every manager that is there: the last word of the history. */
  async readAll(): Promise<void> {
    for (const host of this.#cluster.managers) {
      for (const key of keys) await this.#ask(host, key, { kind: 'read' });
    }
  }

  async #ask(host: Host, key: string, call: Call): Promise<Answer | undefined> {
    const calledAt = clock.monotonic();
    let answer: Answer | undefined;
    try {
      const told = await send(host, key, call);
      answer = answerOf(call, told);
      if (answer === undefined) this.#count(`${told.status} ${JSON.stringify(told.body)}`);
    } catch (error) {
      // Nobody listened, so nothing was asked.
      if (/ECONNREFUSED|ENOENT/u.test(String(error))) return undefined;
      this.#count(String(error));
    }
    this.#history.push({ key, call, answer, calledAt, answeredAt: clock.monotonic() });
    return answer;
  }

  #count(reason: string): void {
    const kind = reason.replaceAll(/register-\w|\d{3,}/gu, '…').slice(0, 160);
    this.#reasons.set(kind, (this.#reasons.get(kind) ?? 0) + 1);
  }
}

async function send({ daemon }: Host, key: string, call: Call): Promise<HttpAnswer> {
  const spec = (value: string): unknown => ({
    Name: key,
    Data: Buffer.from(key).toString('base64'),
    Labels: { [valueLabel]: value },
  });
  switch (call.kind) {
    case 'create':
      return daemon.ask('/configs/create', { method: 'POST', body: spec(call.value) });
    case 'update': {
      const path = `/configs/${key}/update?version=${call.version}`;
      return daemon.ask(path, { method: 'POST', body: spec(call.value) });
    }
    case 'read':
      return daemon.ask(`/configs/${key}`);
    case 'remove':
      return daemon.ask(`/configs/${key}`, { method: 'DELETE' });
  }
}

/** What an answer of the Engine API says; undefined where it does not say what became of the call. */
function answerOf(call: Call, { status, body }: HttpAnswer): Answer | undefined {
  if (status === 404) return { kind: 'absent' };
  if (call.kind === 'read') {
    if (status !== 200) return undefined;
    const { Version, Spec } = body as ConfigObject;
    return { kind: 'found', value: Spec.Labels[valueLabel] ?? '', version: Version.Index };
  }
  if (status < 300) return { kind: 'done' };
  if (call.kind === 'create' && status === 409) return { kind: 'exists' };
  const isStale = JSON.stringify(body).includes('update out of sequence');
  return call.kind === 'update' && isStale ? { kind: 'stale' } : undefined;
}

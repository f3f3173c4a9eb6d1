import { isSwarmError } from '../../../src/runtime/index.ts';
import type { Manager } from '../../../src/manager/index.ts';
import { checkHistory } from '../../linearizability/check.ts';
import type { Answer, Call, Operation } from '../../linearizability/history.ts';
import { Stream } from '../kernel/streams.ts';
import type { ManagerHost } from './manager-host.ts';
import type { Parts } from './parts.ts';

/** How many clients there are, how many configs they share, and how long each thinks on average. */
const clients = 4;
const names = ['a', 'b', 'c'] as const;
const thinkMs = 1_500;
/** A manager that has not answered after so long never will, as far as its client is concerned. */
const patienceMs = 12_000;

/** What a client has read, for its next change. */
interface Known {
  readonly id: string;
  readonly version: number;
}

interface Undertaking {
  readonly manager: Manager;
  readonly key: string;
  readonly call: Call;
  readonly known: Known | undefined;
  /** Whether it is asked of a manager that was left behind by a rebuild, as far as is known now. */
  readonly isBehind: () => boolean;
}

/**
 * People who read and write a few configs through all managers at the same time, and remember what
 * they were told. In the end there must be one order of all they did that explains it.
 */
export class Clients {
  readonly #parts: Parts;
  readonly #managers: readonly ManagerHost[];
  readonly #history: Operation[] = [];
  #values = 0;

  constructor(parts: Parts, managers: readonly ManagerHost[]) {
    this.#parts = parts;
    this.#managers = managers;
  }

  /** They begin, and go on until a time. */
  start(until: number): void {
    for (let number = 0; number < clients; number += 1) {
      const chance = new Stream(this.#parts.seed, `client ${number}`);
      this.#next({ chance, until, known: new Map() });
    }
  }

  /** @returns why what they were told cannot be; nothing, if it can */
  verdict(): string | undefined {
    const verdict = checkHistory(this.#history);
    return verdict.kind === 'violation' ? verdict.explanation : undefined;
  }

  #next(client: Client): void {
    const { kernel } = this.#parts;
    kernel.after(client.chance.exponential(thinkMs), undefined, () => {
      if (kernel.now > client.until) return;
      let isOver = false;
      const over = (): void => {
        if (isOver) return;
        isOver = true;
        this.#next(client);
      };
      kernel.after(patienceMs, undefined, over);
      this.#begin(client, over);
    });
  }

  #begin(client: Client, over: () => void): void {
    const { chance, known } = client;
    const up = this.#managers.filter(({ manager }) => manager !== undefined);
    if (up.length === 0) return;
    const host = chance.pick(up);
    const { manager, life } = host;
    const age = this.#parts.checks.ageOf(host);
    // After a rebuild they begin anew: what was lost with others is not held against it.
    const key = `${chance.pick(names)}${age === 0 ? '' : `.${age}`}`;
    if (manager === undefined) return;
    const undertaking = {
      manager,
      key,
      call: this.#drawCall(client, key),
      known: known.get(key),
      isBehind: () => this.#parts.checks.isBehind(host),
    };
    this.#parts.kernel.within(life, () => {
      void this.#carryOut(client, undertaking).then(over);
    });
  }

  #drawCall({ chance, known }: Client, key: string): Call {
    this.#values += 1;
    const value = `v${this.#values}`;
    const last = known.get(key);
    if (last === undefined)
      return chance.chance(0.5) ? { kind: 'create', value } : { kind: 'read' };
    if (chance.chance(0.5)) return { kind: 'read' };
    if (chance.chance(0.1)) return { kind: 'remove' };
    return { kind: 'update', version: last.version, value };
  }

  /** What it was called for is in the history from the beginning: its answer may never come. */
  async #carryOut(client: Client, undertaking: Undertaking): Promise<void> {
    const { kernel, checks } = this.#parts;
    const { key, call } = undertaking;
    const at = this.#history.length;
    const calledAt = kernel.now;
    const { rebuilds } = checks;
    const wasBehind = undertaking.isBehind();
    const note = (answer: Answer | undefined): void => {
      // Across a rebuild nobody knows which of the two it was that answered; nor of a manager that
      // was let in meanwhile by those who were left behind.
      const isOne = checks.rebuilds === rebuilds && !wasBehind && !undertaking.isBehind();
      const known = isOne ? answer : undefined;
      this.#history[at] = { key, call, answer: known, calledAt, answeredAt: kernel.now };
    };
    note(undefined);
    // A change is made with what was read, once.
    if (call.kind !== 'read') client.known.delete(key);
    try {
      note(await this.#ask(client, undertaking));
    } catch (error) {
      if (!isSwarmError(error)) checks.broke(`client (${call.kind})`, error);
      else if (error.code === 'already-exists') note({ kind: 'exists' });
      else if (error.message === 'update out of sequence') note({ kind: 'stale' });
      // An ID that is gone says nothing of the name: nothing was done.
      else if (error.code === 'not-found') note(undefined);
    }
  }

  async #ask(
    { known: all }: Client,
    { manager, key, call, known }: Undertaking,
  ): Promise<Answer | undefined> {
    const options = { deadlineMs: 10_000, signal: new AbortController().signal };
    const { client } = manager;
    const configId = known?.id ?? '';
    switch (call.kind) {
      case 'create': {
        const annotations = { name: key, labels: { value: call.value } };
        const spec = { annotations, data: Buffer.from('x') };
        await client.unary('Control', 'CreateConfig', { spec }, options);
        return { kind: 'done' };
      }
      case 'update': {
        const annotations = { name: key, labels: { value: call.value } };
        const spec = { annotations, data: Buffer.from('x') };
        const configVersion = { index: String(call.version) };
        await client.unary('Control', 'UpdateConfig', { configId, configVersion, spec }, options);
        return { kind: 'done' };
      }
      case 'remove':
        await client.unary('Control', 'RemoveConfig', { configId }, options);
        return { kind: 'done' };
      case 'read': {
        const filters = { names: [key] };
        const found = await client.unary('Control', 'ListConfigs', { filters }, options);
        const [config] = found.configs;
        if (config === undefined) {
          all.delete(key);
          return { kind: 'absent' };
        }
        const version = Number(config.meta?.version?.index);
        all.set(key, { id: config.id, version });
        const value = config.spec?.annotations?.labels['value'] ?? '';
        return { kind: 'found', value, version };
      }
    }
  }
}

interface Client {
  readonly chance: Stream;
  readonly until: number;
  /** By name. */
  readonly known: Map<string, Known>;
}

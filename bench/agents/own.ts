import { CryptoRandom, SystemClock } from '../../src/runtime/index.ts';
import { runAgent } from '../../src/worker/index.ts';
import { FakeExecutor } from '../../test/support/fake-executor.ts';
import { MemoryTaskStore } from '../../test/support/memory-task-store.ts';
import { silentLog } from '../../test/support/silent-log.ts';
import { type Agent, descriptionOf, type TaskCounts } from './agent.ts';
import { connectionOf, type Door, type Member } from './enrolment.ts';

const clock = new SystemClock();
const random = new CryptoRandom();

/** So long a Docker Engine takes to make a container, and to start it. */
const engineMs = { prepareMs: 100, startMs: 200 };

/** The agent of swarmd, with an Engine whose containers are timers. */
export class OwnAgent implements Agent {
  readonly opened: Promise<void>;
  #hasOpened: () => void = () => undefined;
  readonly #door: Door;
  readonly #member: Member;
  readonly #executor: FakeExecutor;
  #lost = 0;

  constructor(place: { readonly door: Door; readonly member: Member; readonly number: number }) {
    this.#door = place.door;
    this.#member = place.member;
    this.#executor = new FakeExecutor(clock, {
      'busybox:latest': engineMs,
    });
    this.#executor.description = descriptionOf(place.number);
    this.opened = new Promise((resolve) => {
      this.#hasOpened = resolve;
    });
  }

  get counts(): TaskCounts {
    const { containers } = this.#executor;
    let running = 0;
    for (const id of containers.keys()) if (this.#executor.isRunning(id)) running += 1;
    return { assigned: containers.size, running, lostSessions: this.#lost };
  }

  async run(signal: AbortSignal): Promise<void> {
    const { address } = this.#door;
    await runAgent(
      {
        clock,
        random,
        log: silentLog,
        executor: this.#executor,
        store: new MemoryTaskStore(),
        managers: {
          connect: () => ({
            ...connectionOf(this.#door, this.#member),
            address,
            observe: () => undefined,
          }),
          learn: () => undefined,
        },
        observer: {
          nodeChanged: () => undefined,
          rootCaChanged: () => undefined,
          sessionOpened: () => {
            this.#hasOpened();
          },
          sessionClosed: () => {
            this.#lost += 1;
          },
        },
        facts: {
          tlsInfo: () => ({}),
          tlsChanged: async (inner) => clock.sleep(2 ** 31 - 1, inner),
        },
      },
      { nodeId: this.#member.nodeId, statePath: '/nowhere' },
      signal,
    );
  }
}

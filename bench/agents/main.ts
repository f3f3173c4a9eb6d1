import { messageOf } from '../../src/runtime/index.ts';
import { type Agent, type TaskCounts } from './agent.ts';
import { type Door, enrol } from './enrolment.ts';
import { OwnAgent } from './own.ts';
import { everyStep, StockLikeAgent } from './stock-like.ts';

/**
 * What this process is asked, by whoever has forked it: that so many nodes join, and how their
 * tasks are.
 */
export type Request =
  | {
      readonly kind: 'join';
      readonly door: Door;
      readonly count: number;
      readonly agents: 'stock-like' | 'curt' | 'own';
      /** So many join at the same time. */
      readonly atOnce: number;
    }
  | { readonly kind: 'count' };

/** What it answers. */
export type Reply =
  | { readonly kind: 'joined' }
  | ({ readonly kind: 'counted' } & TaskCounts)
  | { readonly kind: 'broken'; readonly reason: string };

const agents: Agent[] = [];
const answer = (reply: Reply): void => void process.send?.(reply);

// Curt agents say only that a task runs: to get many tasks going soon.
const makers = {
  'stock-like': (...[place]: ConstructorParameters<typeof StockLikeAgent>) =>
    new StockLikeAgent(place, everyStep),
  curt: (...[place]: ConstructorParameters<typeof StockLikeAgent>) =>
    new StockLikeAgent(place, ['RUNNING']),
  own: (...[place]: ConstructorParameters<typeof OwnAgent>) => new OwnAgent(place),
} as const;

async function join(request: Extract<Request, { kind: 'join' }>): Promise<void> {
  const { door, count, atOnce } = request;
  let next = 0;
  const joinMore = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      const number = next;
      const { signal } = new AbortController(); // It lives as long as the process.
      const member = await enrol(door, signal);
      const agent = makers[request.agents]({ door, member, number });
      agents.push(agent);
      await Promise.race([agent.opened, agent.run(signal).catch(broken)]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, joinMore));
  answer({ kind: 'joined' });
}

const broken = (error: unknown): void => {
  answer({ kind: 'broken', reason: messageOf(error) });
};

process.on('message', (request: Request) => {
  if (request.kind === 'join') {
    join(request).catch(broken);
    return;
  }
  let [assigned, running, lostSessions] = [0, 0, 0];
  for (const { counts } of agents) {
    assigned += counts.assigned;
    running += counts.running;
    lostSessions += counts.lostSessions;
  }
  answer({ kind: 'counted', assigned, running, lostSessions });
});
process.on('disconnect', () => process.exit());

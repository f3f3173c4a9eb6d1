import {
  type AgentWord,
  type CallContext,
  ConnectionClosed,
  type Handlers,
  type ServiceHandlers,
} from '../../api/index.ts';
import type { SessionMessageInput, SessionRequest } from '../../api/gen/types.ts';

/**
 * The services of a manager, whether it leads or not, that tell the leader of agents whose
 * connection to this manager closes. A process that dies closes its connections, which says more
 * than its silence, and says it sooner; but only of an agent that has promised to be back at once.
 *
 * A call that an agent ends itself, and a connection over which nothing comes any more, say
 * nothing.
 */
export function tellingHangUps(services: ServiceHandlers): ServiceHandlers {
  const { Dispatcher: dispatcher } = services;
  const { session, heartbeat } = dispatcher ?? {};
  if (session === undefined || heartbeat === undefined) return services;
  const watched = { session, heartbeat };
  return {
    ...services,
    Dispatcher: {
      ...dispatcher,
      session: (request, context) => watchedSession(watched, request, context),
    },
  };
}

async function* watchedSession(
  dispatcher: Pick<Handlers<'Dispatcher'>, 'session' | 'heartbeat'>,
  request: SessionRequest,
  context: CallContext,
): AsyncGenerator<SessionMessageInput> {
  let sessionId = '';
  try {
    for await (const message of dispatcher.session(request, context)) {
      sessionId = message.sessionId ?? '';
      yield message;
    }
  } finally {
    const { signal, agentWord } = context;
    const hasHungUp = signal.aborted && signal.reason instanceof ConnectionClosed;
    if (hasHungUp && sessionId !== '' && isWord(agentWord, 'returns')) {
      await tell(dispatcher, sessionId, context);
    }
  }
}

async function tell(
  { heartbeat }: Pick<Handlers<'Dispatcher'>, 'heartbeat'>,
  sessionId: string,
  context: CallContext,
): Promise<void> {
  const agentWord: AgentWord = 'closed';
  const { signal } = new AbortController(); // The caller's is over.
  try {
    await heartbeat({ sessionId }, { ...context, agentWord, signal });
  } catch {
    // It has a new session already; or there is no leader, and the next one waits for everybody.
  }
}

const isWord = (said: string | undefined, word: AgentWord): boolean => said === word;

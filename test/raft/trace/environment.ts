import type {
  Message,
  MessageType,
  RaftConfig,
  RaftId,
  Snapshot,
  StepRefusal,
} from '../../../src/raft/core/types.ts';
import { formatMessage, formatReady, indent } from './format.ts';
import { TraceNode } from './trace-node.ts';

const refusals: Readonly<Record<StepRefusal, string>> = {
  'peer-not-found': 'raft: cannot step as peer not found',
  'proposal-dropped': 'raft proposal dropped',
};

/** How a trace words that a message was not taken; empty if it was. */
export const formatRefusal = (refusal: StepRefusal | undefined): string =>
  refusal === undefined ? '' : `${refusals[refusal]}\n`;

/** The members of a trace, and the messages between them. Nothing happens unless asked for. */
export class TraceEnvironment {
  readonly #nodes: TraceNode[] = [];
  /** Oldest first. */
  #inFlight: Message[] = [];
  /** Whether commands print nothing but that they were carried out. */
  isQuiet = false;

  get nodes(): readonly TraceNode[] {
    return this.#nodes;
  }

  get nextId(): RaftId {
    return String(this.#nodes.length + 1) as RaftId; // Members are numbered from 1.
  }

  node(id: RaftId): TraceNode {
    const node = this.#nodes[Number(id) - 1];
    if (node === undefined) throw new Error(`there is no member ${id}`);
    return node;
  }

  add(config: RaftConfig, boot: Snapshot): void {
    this.#nodes.push(new TraceNode(config, boot));
  }

  send(messages: readonly Message[]): void {
    this.#inFlight.push(...messages);
  }

  /** Lets a member do its next Ready. */
  processReady(node: TraceNode): string {
    const ready = node.core.ready();
    this.send(node.handle(ready));
    return formatReady(ready);
  }

  /** Gives a member what is on its way to it, perhaps of one type alone. */
  deliver(id: RaftId, type?: MessageType): readonly string[] {
    return this.#take(id, type).map(
      (message) => `${formatMessage(message)}\n${formatRefusal(this.step(message))}`,
    );
  }

  drop(id: RaftId, type?: MessageType): readonly string[] {
    return this.#take(id, type).map((message) => `dropped: ${formatMessage(message)}\n`);
  }

  step(message: Message): StepRefusal | undefined {
    return this.node(message.to).core.step(message);
  }

  /** Takes the message that is so many places behind the oldest. */
  takeAt(position: number): Message {
    const [message] = this.#inFlight.splice(position, 1);
    if (message === undefined) throw new Error(`there is no message ${position}`);
    return message;
  }

  peekAt(position: number): Message {
    const message = this.#inFlight[position];
    if (message === undefined) throw new Error(`there is no message ${position}`);
    return message;
  }

  /** Forgets what a member sent to itself, as it does when it crashes. */
  forgetMessagesToSelf(id: RaftId): void {
    this.#inFlight = this.#inFlight.filter(({ from, to }) => from !== id || to !== id);
  }

  /** Lets some members do Readies and take messages until nothing more happens. */
  stabilize(ids: readonly RaftId[]): string {
    const output: string[] = [];
    for (let isStable = false; !isStable;) {
      isStable = true;
      for (const id of ids) {
        const node = this.node(id);
        if (!node.core.hasReady) continue;
        isStable = false;
        output.push(`> ${id} handling Ready\n`, indent(this.processReady(node)));
      }
      for (const id of ids) {
        const received = this.deliver(id);
        if (received.length === 0) continue;
        isStable = false;
        output.push(`> ${id} receiving messages\n`, indent(received.join('')));
      }
    }
    return output.join('');
  }

  #take(id: RaftId, type: MessageType | undefined): Message[] {
    const isTaken = (message: Message): boolean =>
      message.to === id && (type === undefined || message.type === type);
    const taken = this.#inFlight.filter(isTaken);
    this.#inFlight = this.#inFlight.filter((message) => !isTaken(message));
    return taken;
  }
}

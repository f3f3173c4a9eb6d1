import type { CallOptions, ServiceName } from '../../../src/api/index.ts';
import { orAborted, SwarmError } from '../../../src/runtime/index.ts';
import type { ManagerNetwork } from '../../../src/manager/ports.ts';
import type { ManagerConnection } from '../../../src/worker/index.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Mark } from '../kernel/marks.ts';
import { Call, type Outcome } from './call.ts';
import { Door } from './door.ts';
import type { Host, Party } from './host.ts';
import { type Method, methodOf } from './methods.ts';
import { Transport } from './transport.ts';
import type { Wires } from './wires.ts';

/** Requests that may arrive twice: who sends them does not mind. */
const repeatable = new Set(['Heartbeat', 'UpdateTaskStatus', 'ProcessRaftMessage']);

/** Every way from a process to a manager's door: calls, carried by {@link Wires}. */
export class Network {
  readonly kernel: Kernel;
  readonly wires: Wires;
  /** Whether messages pass through the real codec. */
  readonly hasCodec: boolean;
  readonly #streams: 'all' | 'some' | 'none';
  /** Sees each request as it leaves, and each response. */
  onRequest: (call: Call, request: unknown) => void = () => undefined;
  onResponse: (call: Call, door: Door, response: unknown) => void = () => undefined;
  /** Sees each response as its caller gets it. */
  onDelivered: (call: Call, response: unknown) => void = () => undefined;
  /** Sees each call as it comes to a door, before it is answered or refused. */
  onServe: (call: Call, door: Door) => void = () => undefined;
  /** Whether the next message of a server's stream is lost without a trace. */
  isLost: (call: Call) => boolean = () => false;
  /** Whether a connection breaks as a call's request, or its response, leaves. */
  breaks: (call: Call, isAnswered: boolean) => boolean = () => false;
  mark: (mark: Mark) => void = () => undefined;
  readonly #hosts = new Map<string, Host>();
  readonly #doors = new Map<string, Door>();
  readonly #transports = new Set<Transport>();

  constructor(
    kernel: Kernel,
    wires: Wires,
    options: { readonly hasCodec: boolean; readonly streams: 'all' | 'some' | 'none' },
  ) {
    this.kernel = kernel;
    this.wires = wires;
    this.hasCodec = options.hasCodec;
    this.#streams = options.streams;
  }

  /** Whether the manager of a host knows a service: a stock one has none of swarmd's own. */
  knows({ host }: Party, service: ServiceName): boolean {
    if (service !== 'RaftStream' || this.#streams === 'all') return true;
    if (this.#streams === 'some' && host.number % 2 === 0) return true;
    this.mark('a member took no stream of messages');
    return false;
  }

  /** Whether a message is encoded. What members of Raft say, always: it is made for the wire. */
  codes({ service }: Method): boolean {
    return this.hasCodec || service.startsWith('Raft');
  }

  /** A host is found at this address from now on. */
  place(address: string, host: Host): void {
    this.#hosts.set(address, host);
  }

  /** Nobody is found there any more. */
  vacate(address: string): void {
    this.#hosts.delete(address);
  }

  hostOf(address: string): Host | undefined {
    return this.#hosts.get(address);
  }

  doorAt(address: string): Door | undefined {
    return this.#doors.get(address);
  }

  /** A process has ended; its host, if it is still up, tells whoever was connected. */
  ended({ life }: Party): void {
    for (const transport of this.#transports) {
      if (transport.isBroken) this.#transports.delete(transport);
      else if (transport.client.life === life) transport.clientDied();
      else if (transport.door?.party.life === life) transport.serverDied();
    }
  }

  /** The network as the manager in a process has it. */
  of(party: Party, address: string): ManagerNetwork {
    const broke = (error: unknown, call: Call): void => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.kernel.violate('no-exception', `${call.method.service}.${call.method.name}: ${text}`);
    };
    const serve = async (at: string, door: Door, signal: AbortSignal): Promise<void> => {
      this.#doors.set(at, door);
      try {
        await orAborted(new Promise<never>(() => undefined), signal);
      } finally {
        door.close();
        if (this.#doors.get(at) === door) this.#doors.delete(at);
      }
    };
    return {
      serveCluster: async (door, signal) =>
        serve(address, new Door(party, door, { broke }), signal),
      serveSelf: async (handlers, self, signal) => {
        const open = { handlers, clusterId: '', isRemoved: () => false };
        const at = ownSocket(party.host);
        this.place(at, party.host);
        await serve(at, new Door(party, open, { broke, self }), signal);
      },
      connect: (to) => this.connect(party, to),
    };
  }

  /** A connection from a process. */
  connect(party: Party, address: string): ManagerConnection {
    return new Connection(this, party, address, this.#transports);
  }
}

/** Where the manager of a host answers the agent beside it. */
const ownSocket = (host: Host): string => `socket of ${host.nodeId}`;

/** How one process calls another. Whoever closes it has aborted its calls. */
class Connection implements Disposable {
  readonly #network: Network;
  readonly #party: Party;
  readonly address: string;
  readonly #transports: Set<Transport>;
  #transport: Transport | undefined;

  constructor(network: Network, party: Party, address: string, transports: Set<Transport>) {
    this.#network = network;
    this.#party = party;
    this.address = address;
    this.#transports = transports;
  }

  /** Which manager serves well is left to chance. */
  observe(): void {
    // Nothing is remembered.
  }

  [Symbol.dispose](): void {
    if (this.#transport !== undefined) this.#transports.delete(this.#transport);
  }

  /** Resolves once the transport it has now is broken. */
  async closed(signal: AbortSignal): Promise<void> {
    const transport = this.#transport;
    if (transport?.isBroken === true) return;
    const broken = new Promise<void>((resolve) => {
      if (transport !== undefined) transport.onBroken = resolve;
    });
    await orAborted(broken, signal);
  }

  async unary(
    service: ServiceName,
    name: string,
    request: unknown,
    { signal, deadlineMs, metadata }: CallOptions,
  ): Promise<unknown> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const over = (): void => {
        signal.removeEventListener('abort', cancel);
        timer?.cancel();
      };
      const call = this.#call(service, name, {
        isStream: false,
        metadata,
        outcome: {
          answer: (message) => {
            call.close();
            over();
            resolve(message);
          },
          end: (error) => {
            over();
            reject(error);
          },
        },
      });
      const cancel = (): void => {
        call.cancel();
        timer?.cancel();
        reject(signal.reason as Error);
      };
      const timer = this.#deadline(deadlineMs, (error) => {
        call.cancel();
        over();
        reject(error);
      });
      signal.addEventListener('abort', cancel, { once: true });
      this.#send(call, request);
    });
  }

  serverStream(
    service: ServiceName,
    name: string,
    request: unknown,
    { signal, metadata }: CallOptions,
  ): AsyncIterable<unknown> {
    return {
      [Symbol.asyncIterator]: () => this.#open(service, name, { request, signal, metadata }),
    };
  }

  async clientStream(
    service: ServiceName,
    name: string,
    requests: AsyncIterable<unknown>,
    { signal, deadlineMs, metadata }: CallOptions,
  ): Promise<unknown> {
    signal.throwIfAborted();
    const network = this.#network;
    let call: Call | undefined;
    const response = new Promise((resolve, reject) => {
      const outcome: Outcome = {
        answer: (message) => {
          call?.close();
          resolve(message);
        },
        end: (error) => {
          if (error !== undefined) reject(error);
        },
      };
      call = this.#call(service, name, { isStream: false, metadata, outcome });
      const opened = call;
      opened.transport.up((door) => {
        void door.serve(opened, door.receive(opened), false); // Never rejects.
      });
    });
    const opened = call;
    let timer: { cancel(): void } | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = this.#deadline(deadlineMs, reject);
    });
    const send = async (): Promise<unknown> => {
      for await (const request of requests) {
        if (opened === undefined || opened.isOver) break;
        const sent = network.codes(opened.method) ? opened.method.asRequest(request) : request;
        network.onRequest(opened, sent);
        if (network.breaks(opened, false)) opened.transport.break();
        else opened.transport.up(() => opened.incoming?.push(sent));
      }
      opened?.transport.up(() => opened.incoming?.end());
      return response;
    };
    try {
      return await orAborted(Promise.race([response, late, send()]), signal);
    } finally {
      timer?.cancel();
      response.catch(() => undefined);
      opened?.cancel();
    }
  }

  #deadline(
    ms: number | undefined,
    fail: (error: SwarmError) => void,
  ): { cancel(): void } | undefined {
    if (ms === undefined) return undefined;
    const network = this.#network;
    return network.kernel.after(ms, this.#party.life, () => {
      network.mark('a call ran into its deadline');
      fail(new SwarmError('deadline-exceeded', 'Deadline exceeded'));
    });
  }

  #open(
    service: ServiceName,
    name: string,
    as: {
      readonly request: unknown;
      readonly signal: AbortSignal;
      readonly metadata: CallOptions['metadata'];
    },
  ): AsyncIterator<unknown> {
    const { request, signal, metadata } = as;
    const messages: unknown[] = [];
    let ended: { readonly error: unknown } | undefined;
    let waiting:
      | { resolve: (r: IteratorResult<unknown>) => void; reject: (e: unknown) => void }
      | undefined;
    const call = this.#call(service, name, {
      isStream: true,
      metadata,
      outcome: {
        answer: (message) => {
          if (waiting === undefined) messages.push(message);
          else waiting.resolve({ done: false, value: message });
          waiting = undefined;
        },
        end: (error) => {
          signal.removeEventListener('abort', cancel);
          ended = { error };
          if (error === undefined) waiting?.resolve({ done: true, value: undefined });
          else waiting?.reject(error);
          waiting = undefined;
        },
      },
    });
    const cancel = (): void => {
      call.cancel();
      call.outcome.end(signal.reason ?? new SwarmError('cancelled', 'cancelled'));
    };
    if (signal.aborted) cancel();
    else {
      signal.addEventListener('abort', cancel, { once: true });
      this.#send(call, request);
    }
    return {
      next: async () =>
        new Promise((resolve, reject) => {
          if (messages.length > 0) resolve({ done: false, value: messages.shift() });
          else if (ended === undefined) waiting = { resolve, reject };
          else if (ended.error === undefined) resolve({ done: true, value: undefined });
          else reject(ended.error);
        }),
      return: async () => {
        signal.removeEventListener('abort', cancel);
        call.cancel();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #call(
    service: ServiceName,
    name: string,
    as: {
      readonly isStream: boolean;
      readonly metadata: CallOptions['metadata'];
      readonly outcome: Outcome;
    },
  ): Call {
    if (this.#transport === undefined || this.#transport.isBroken) {
      this.#transport = new Transport(this.#network, this.#party, this.address);
      this.#transports.add(this.#transport);
    }
    return new Call(this.#transport, methodOf(service, name), as);
  }

  #send(call: Call, request: unknown): void {
    const network = this.#network;
    const { transport, method } = call;
    const sent = network.codes(method) ? method.asRequest(request) : request;
    network.onRequest(call, sent);
    const server = network.hostOf(this.address);
    const serve = (isRepeat: boolean): void => {
      transport.up((door) => {
        void door.serve(call, sent, isRepeat); // Never rejects.
      });
    };
    serve(false);
    if (server === undefined) return;
    const { host } = this.#party;
    if (repeatable.has(method.name) && network.wires.repeats(host, server)) {
      network.mark('a request arrived twice');
      serve(true);
    }
    const lateMs =
      method.name === 'ProcessRaftMessage' ? network.wires.repeatsAfter(host, server) : undefined;
    if (lateMs === undefined) return;
    network.mark('a message of Raft arrived again, and late');
    network.kernel.after(lateMs, undefined, () => {
      serve(true);
    });
  }
}

import { connect, createServer, type Server, type Socket } from 'node:net';

/** A connection that somebody opened through the relay, as its first message told it. */
export interface ClientHello {
  /** The address it came from. */
  readonly from: string;
  /** The protocols it offered (RFC 7301); none, if it said nothing of them. */
  readonly alpn: readonly string[];
}

/** Stands between nodes and a manager: it hears how they begin to speak TLS, and can cut them off. */
export class TlsRelay implements AsyncDisposable {
  /** All connections so far, the oldest first. */
  readonly hellos: ClientHello[] = [];
  readonly #server: Server;
  readonly #host: string;
  readonly #sockets = new Set<Socket>();
  /** Where it leads to: `host:port`. */
  target = '';

  private constructor(host: string) {
    this.#host = host;
    this.#server = createServer((socket) => this.#relay(socket));
  }

  /** Starts one that listens on a free port of an address. */
  static async start(host: string): Promise<TlsRelay> {
    const relay = new TlsRelay(host);
    await new Promise<void>((resolve, reject) => {
      relay.#server.on('error', reject);
      relay.#server.listen(0, host, resolve);
    });
    return relay;
  }

  /** Where it listens: `host:port`. */
  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('it does not listen');
    return `${this.#host}:${address.port}`;
  }

  /** Cuts every connection there is. New ones are let through. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #relay(socket: Socket): void {
    const [host = '', port = ''] = this.target.split(':');
    const onward = connect(Number(port), host);
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(end);
      end.on('error', () => undefined); // It closes, too.
      end.on('close', () => {
        this.#sockets.delete(end);
        other.destroy();
      });
      end.pipe(other);
    }
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    const from = socket.remoteAddress ?? '';
    let heard = Buffer.alloc(0);
    const onData = (data: Buffer): void => {
      heard = Buffer.concat([heard, data]);
      const alpn = offeredProtocols(heard);
      if (alpn === undefined) return;
      socket.off('data', onData);
      this.hellos.push({ from, alpn });
    };
    socket.on('data', onData);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const alpnExtension = 16;

/** What the ClientHello at the start of a connection offers; undefined, if it is not all there. */
function offeredProtocols(bytes: Buffer): readonly string[] | undefined {
  if (bytes.length < 5 || bytes.length < 5 + bytes.readUInt16BE(3)) return undefined;
  let at = 5 + 4 + 2 + 32; // Record, handshake, version, random. RFC 8446 §4.1.2
  at += 1 + bytes.readUInt8(at); // Session.
  at += 2 + bytes.readUInt16BE(at); // Cipher suites.
  at += 1 + bytes.readUInt8(at); // Compression.
  const end = at + 2 + bytes.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + bytes.readUInt16BE(at + 2)) {
    if (bytes.readUInt16BE(at) !== alpnExtension) continue;
    return namesIn(bytes.subarray(at + 6, at + 4 + bytes.readUInt16BE(at + 2)));
  }
  return [];
}

/** Names, each after a byte that has its length. */
function namesIn(list: Buffer): readonly string[] {
  const names: string[] = [];
  for (let at = 0; at < list.length; at += 1 + list.readUInt8(at)) {
    names.push(list.toString('latin1', at + 1, at + 1 + list.readUInt8(at)));
  }
  return names;
}

/** A Docker Engine of one's own. */
export interface PrivateEngine {
  readonly socketPath: string;
  /** The socket as a value for `DOCKER_HOST`. */
  readonly dockerHost: string;
  /** The name of its network namespace, as `ip netns` lists it. */
  readonly networkNamespace: string;
  /** Where its published ports are found from this machine. */
  readonly address: string;
  /** Where it finds this machine. */
  readonly machineAddress: string;
  /** The file dockerd logs to. */
  readonly log: string;
  /** The process of dockerd; undefined once it was ended. */
  readonly pid: number | undefined;
  /** Ends dockerd alone, at once, as a crash does. */
  kill(): Promise<void>;
  /** Sends dockerd a signal, if it runs, and waits for nothing. */
  signal(signal: NodeJS.Signals): void;
  /** Waits until dockerd, which was sent a signal, has ended. */
  ended(): Promise<void>;
  /** Starts dockerd again after a {@link kill}. */
  start(): Promise<void>;
  /** Ends everything and leaves nothing. */
  stop(): Promise<void>;
}

/** Why no private Engine can be started on this machine; undefined if one can. */
export function whyNoPrivateEngine(): string | undefined;

/** Starts a private Engine and waits until it answers. */
export function startPrivateEngine(options?: {
  /** Further arguments for dockerd. */
  readonly args?: readonly string[];
  /** The name it has for its host; the machine's, if not given. */
  readonly hostname?: string;
}): Promise<PrivateEngine>;

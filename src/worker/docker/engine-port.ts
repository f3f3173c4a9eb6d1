/**
 * The calls of the Docker Engine API that running tasks takes, in the words of that API. The real
 * Engine stands behind it, and in tests a fake one.
 *
 * Every call throws SwarmError `unavailable` if the Engine does not answer, and the signal's reason
 * if that aborts first. Other codes are told at the call.
 */
export interface Engine {
  info(signal: AbortSignal): Promise<EngineInfo>;

  hasImage(image: string, signal: AbortSignal): Promise<boolean>;

  /**
   * Pulls an image. Yields as soon as the registry has answered, and then for each sign of
   * progress; ends when the image is there.
   *
   * @param auth the registry's credentials, as the header X-Registry-Auth carries them
   * @throws SwarmError with the registry's reason
   */
  pullImage(
    image: string,
    auth: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<PullProgress>;

  /**
   * Creates a container and gives its ID.
   *
   * @throws SwarmError already-exists, if the name is taken
   * @throws SwarmError not-found, if the image is not there
   * @throws SwarmError invalid-argument, if the Engine refuses the configuration
   */
  createContainer(name: string, body: ContainerBody, signal: AbortSignal): Promise<string>;

  /**
   * Starts a container. One that runs already: no error.
   *
   * @throws SwarmError, if its process cannot be started
   */
  startContainer(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Sends a container its stop signal, and kills it when its stop timeout has passed. Resolves
   * once it has ended. One that does not run: no error.
   *
   * @throws SwarmError not-found
   */
  stopContainer(name: string, signal: AbortSignal): Promise<void>;

  /**
   * Removes a container and its anonymous volumes, and kills it first if it runs. None of that
   * name, or one that is being removed: no error.
   */
  removeContainer(name: string, signal: AbortSignal): Promise<void>;

  /** What is known of a container; undefined if there is none of that name. */
  inspectContainer(name: string, signal: AbortSignal): Promise<ContainerInfo | undefined>;

  /** The labels of every container that has all of these, running or not. */
  listContainers(
    labels: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ReadonlyArray<Readonly<Record<string, string>>>>;

  /**
   * What happens to the containers of tasks. Yields `connected` once nothing more is missed, then
   * event after event; ends when the Engine does.
   */
  events(signal: AbortSignal): AsyncIterable<ContainerEvent | 'connected'>;

  /**
   * The bytes of a container's log, with timestamps and details before each message. Multiplexed,
   * in frames, unless the container has a terminal.
   *
   * @throws SwarmError not-found
   */
  logs(name: string, options: EngineLogOptions, signal: AbortSignal): AsyncIterable<Buffer>;
}

/** What an Engine says of itself. Engine API 1.41 /info */
export interface EngineInfo {
  readonly Name: string;
  readonly Architecture: string;
  readonly OSType: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly ServerVersion: string;
  readonly Labels?: readonly string[] | null;
  /** Names by type, such as `Volume`; null for a type without any. */
  readonly Plugins?: Readonly<Record<string, readonly string[] | null>>;
  readonly GenericResources?: readonly EngineGenericResource[] | null;
  readonly SecurityOptions?: readonly string[] | null;
}

export interface EngineGenericResource {
  readonly NamedResourceSpec?: { readonly Kind: string; readonly Value: string };
  readonly DiscreteResourceSpec?: { readonly Kind: string; readonly Value: number };
}

export interface PullProgress {
  readonly id?: string;
  readonly status?: string;
}

/** The fields of a container that the running of tasks looks at. Engine API 1.41 /containers/{id}/json */
export interface ContainerInfo {
  readonly Id: string;
  readonly State: {
    readonly Status: ContainerStatusName;
    readonly Running: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
    /** Why the Engine could not start it or keep it going; mostly empty. */
    readonly Error: string;
    readonly Health?: { readonly Status: string; readonly FailingStreak: number } | null;
  };
  readonly Config: {
    readonly Tty: boolean;
    readonly Healthcheck?: { readonly Test?: readonly string[]; readonly Retries?: number } | null;
  };
  readonly NetworkSettings: {
    /** The host's ports by container port, such as `80/tcp`. */
    readonly Ports?: Readonly<
      Record<string, ReadonlyArray<{ readonly HostPort: string }> | null>
    > | null;
  };
}

export type ContainerStatusName =
  | 'created'
  | 'running'
  | 'paused'
  | 'restarting'
  | 'removing'
  | 'exited'
  | 'dead';

/** Something that happened to a container. */
export interface ContainerEvent {
  /** `start`, `die`, `destroy`, or `health_status: …`. */
  readonly action: string;
  readonly name: string;
  /** Of a `die`. */
  readonly exitCode: number | undefined;
}

export interface EngineLogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  readonly tail: number | 'all';
  /** Seconds since the epoch, with a fraction. */
  readonly since: string | undefined;
}

/** What a container is created with. Engine API 1.41 /containers/create */
export interface ContainerBody {
  readonly Image: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Entrypoint?: readonly string[] | undefined;
  readonly Cmd?: readonly string[] | undefined;
  readonly Env?: readonly string[] | undefined;
  readonly WorkingDir?: string | undefined;
  readonly User?: string | undefined;
  readonly Hostname?: string | undefined;
  readonly Tty?: boolean | undefined;
  readonly OpenStdin?: boolean | undefined;
  readonly StopSignal?: string | undefined;
  /** In seconds. */
  readonly StopTimeout?: number | undefined;
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, never>>>> | undefined;
  /** Its times are in nanoseconds. */
  readonly Healthcheck?:
    | {
        readonly Test: readonly string[];
        readonly Interval: number;
        readonly Timeout: number;
        readonly Retries: number;
        readonly StartPeriod: number;
        readonly StartInterval: number;
      }
    | undefined;
  readonly HostConfig: HostConfig;
}

export interface HostConfig {
  readonly Mounts?: readonly EngineMount[] | undefined;
  readonly NetworkMode?: string | undefined;
  readonly PortBindings?:
    | Readonly<Record<string, ReadonlyArray<{ readonly HostPort: string }>>>
    | undefined;
  readonly ReadonlyRootfs?: boolean | undefined;
  readonly Init?: boolean | undefined;
  readonly Isolation?: string | undefined;
  readonly GroupAdd?: readonly string[] | undefined;
  readonly Sysctls?: Readonly<Record<string, string>> | undefined;
  readonly CapAdd?: readonly string[] | undefined;
  readonly CapDrop?: readonly string[] | undefined;
  readonly SecurityOpt?: readonly string[] | undefined;
  readonly OomScoreAdj?: number | undefined;
  readonly Dns?: readonly string[] | undefined;
  readonly DnsSearch?: readonly string[] | undefined;
  readonly DnsOptions?: readonly string[] | undefined;
  readonly ExtraHosts?: readonly string[] | undefined;
  readonly LogConfig?:
    | {
        readonly Type: string;
        readonly Config: Readonly<Record<string, string>>;
      }
    | undefined;
  readonly Memory?: number | undefined;
  readonly MemorySwap?: number | undefined;
  readonly MemorySwappiness?: number | undefined;
  readonly NanoCpus?: number | undefined;
  readonly PidsLimit?: number | undefined;
  readonly Ulimits?:
    | ReadonlyArray<{
        readonly Name: string;
        readonly Soft: number;
        readonly Hard: number;
      }>
    | undefined;
}

export interface EngineMount {
  readonly Type: 'bind' | 'volume' | 'tmpfs' | 'npipe';
  readonly Source?: string | undefined;
  readonly Target: string;
  readonly ReadOnly?: boolean | undefined;
  readonly Consistency?: string | undefined;
  readonly BindOptions?:
    | {
        readonly Propagation: string;
        readonly NonRecursive?: boolean | undefined;
        readonly CreateMountpoint?: boolean | undefined;
        readonly ReadOnlyNonRecursive?: boolean | undefined;
        readonly ReadOnlyForceRecursive?: boolean | undefined;
      }
    | undefined;
  readonly VolumeOptions?:
    | {
        readonly NoCopy: boolean;
        readonly Labels: Readonly<Record<string, string>>;
        readonly DriverConfig?:
          | {
              readonly Name: string;
              readonly Options: Readonly<Record<string, string>>;
            }
          | undefined;
        readonly Subpath?: string | undefined;
      }
    | undefined;
  readonly TmpfsOptions?:
    | {
        readonly SizeBytes: number;
        readonly Mode: number;
        readonly Options?: ReadonlyArray<readonly string[]> | undefined;
      }
    | undefined;
}

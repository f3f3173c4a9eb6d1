import type { Clock } from '../runtime/index.ts';

/** What a command sees of the terminal it was started from. */
export interface Shell {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  out(text: string): void;
  err(text: string): void;
  /**
   * What comes on standard input, up to so many bytes.
   *
   * @throws the signal's reason, if it aborts first
   */
  input(bytesMax: number): Promise<Buffer>;
  /** A line that is not shown while it is typed; from a pipe, its first line. */
  secret(prompt: string): Promise<string>;
}

/** A command fails with a message for its user and an exit code; nothing else is printed. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The value of a flag cannot be read: the command it was given to shows how it is used. */
export class InvalidValue extends CommandFailure {
  readonly flag: string;
  readonly reason: string;
  readonly value: string;

  constructor(flag: string, value: string, reason: string) {
    super(`invalid argument "${value}" for "--${flag}" flag: ${reason}`, 125);
    this.flag = flag;
    this.value = value;
    this.reason = reason;
  }
}

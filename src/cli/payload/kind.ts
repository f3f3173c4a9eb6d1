import type { Meta } from '../engine-types.ts';

/** Secrets and configs are payloads: named data for containers. What tells one from the other. */
export interface PayloadKind {
  readonly name: 'secret' | 'config';
  /** Where the Engine API has them. */
  readonly path: string;
  /**
   * So many bytes of a file are read: twice what a manager takes, so that it is the manager who
   * refuses one that is too large. docker/cli
   */
  readonly bytesMax: number;
  /** Whether the data may come from a driver instead of a file. */
  readonly mayHaveDriver: boolean;
}

export const secrets: PayloadKind = {
  name: 'secret',
  path: '/secrets',
  bytesMax: 1_024_000,
  mayHaveDriver: true,
};

export const configs: PayloadKind = {
  name: 'config',
  path: '/configs',
  bytesMax: 2_048_000,
  mayHaveDriver: false,
};

/** A secret or config of the Engine API. Of a secret, the data is never shown. */
export interface PayloadObject extends Meta {
  readonly Spec: {
    readonly Name?: string;
    readonly Labels?: Readonly<Record<string, string>>;
    /** In base64. */
    readonly Data?: string;
    readonly Driver?: { readonly Name?: string };
  };
}

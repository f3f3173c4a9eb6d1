import { once } from 'node:events';

/** What a writer is told, as a line of JSON on its standard input, once it is to begin. */
export interface Orders {
  readonly directory: string;
  /** The size of an entry's data, and of a snapshot's. */
  readonly entryBytes: number;
  readonly snapshotBytes: number;
}

export async function orders(): Promise<Orders> {
  const [line] = (await once(process.stdin, 'data')) as [Buffer];
  process.stdin.unref();
  return JSON.parse(line.toString()) as Orders;
}

import { Level } from 'level';
import { messageOf, SwarmError } from '../../../runtime/index.ts';

export type Database = Level<Buffer, Buffer>;

/** What is sealed cannot be compressed. */
const options = { keyEncoding: 'buffer', valueEncoding: 'buffer', compression: false } as const;

/** Makes a new database. */
export async function createDatabase(directory: string): Promise<Database> {
  const database: Database = new Level(directory, options);
  await database.open({ createIfMissing: true });
  return database;
}

/**
 * Opens one of which the files were verified: what fails now is the disk, or somebody else has it.
 * What they held is durable once it is open, for LevelDB makes a table of its journal.
 *
 * @throws SwarmError failed-precondition, if another process has it open; else internal
 */
export async function openDatabase(directory: string): Promise<Database> {
  const database: Database = new Level(directory, options);
  try {
    await database.open({ createIfMissing: false });
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if ((cause as { code?: unknown } | undefined)?.code === 'LEVEL_LOCKED') {
      throw new SwarmError('failed-precondition', 'raft log is in use by another process');
    }
    throw new SwarmError('internal', `raft log cannot be opened: ${messageOf(cause ?? error)}`);
  }
  return database;
}

import { join } from 'node:path';

/** Where the parts of a log are. */
export const logFiles = (
  directory: string,
): Readonly<Record<'identity' | 'sentinel' | 'database' | 'witness', string>> => ({
  identity: join(directory, 'identity.json'),
  sentinel: join(directory, 'sentinel'),
  database: join(directory, 'db'),
  /** Beside the directory: who puts back an old copy of that is told. */
  witness: `${directory}.witness`,
});

import { SwarmError } from '../../runtime/index.ts';

/** The disk does not hold what it acknowledged. */
export const loss = (what: string): SwarmError =>
  new SwarmError('data-loss', `raft log is damaged: ${what}`);

import { Membership } from '../../../src/raft/core/membership.ts';
import { OutOfScope } from './arguments.ts';
import { parseChanges } from './changes.ts';
import type { CommandTable } from './trace-file.ts';
import { formatConfState, formatProgress } from './format.ts';

const noLimits = { inflightMessagesMax: Infinity, inflightBytesMax: Infinity };

const joint = (): never => {
  throw new OutOfScope('joint consensus');
};

/** Changes of a configuration on their own. Each finds the log one entry longer than the last. */
export function confChangeCommands(): CommandTable {
  const membership = new Membership(noLimits, { voters: [], learners: [] }, 0);
  let lastIndex = 0;
  return {
    simple: ({ input }) => {
      const changes = parseChanges(input);
      const refusal = membership.refusalOf(changes);
      if (refusal === undefined) membership.apply(changes, lastIndex);
      lastIndex += 1;
      if (refusal !== undefined) return refusal;
      const lines = membership.ids.map((id) => {
        const progress = membership.progressOf(id);
        return progress === undefined ? '' : `${formatProgress(id, progress)}\n`;
      });
      return `${formatConfState(membership.confState)}\n${lines.join('')}`;
    },
    'enter-joint': joint,
    'leave-joint': joint,
  };
}

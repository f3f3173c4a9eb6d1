import type { StoredLog } from '../../../src/raft/storage/log-store.ts';
import type { RaftId } from '../../../src/raft/index.ts';
import type { ReadView } from '../../../src/manager/store/view.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Marks } from '../kernel/marks.ts';
import { Ledger } from './ledger.ts';
import { NodeRules } from './node-rules.ts';
import type { Configuration } from './raft/configurations.ts';
import { RaftRules } from './raft/raft-rules.ts';
import { TaskRules } from './task-rules.ts';

/** What a swarm that was rebuilt begins with. */
interface Beginning {
  readonly raftId: RaftId;
  readonly nodeId: string;
  readonly log: StoredLog;
  readonly view: ReadView;
}

/**
 * One history of the swarm, with all that must hold in it: from its founding on, or from a rebuild.
 * Managers that were left behind go on in the one before, as long as nobody tells them.
 */
export class Age {
  readonly number: number;
  readonly ledger: Ledger;
  readonly tasks: TaskRules;
  readonly raft: RaftRules;
  readonly nodes: NodeRules;
  /** Members of before, which are none any more. */
  without: ReadonlySet<RaftId> = new Set();

  constructor(kernel: Kernel, marks: Marks, overlaps: ReadonlySet<string>, before?: Age) {
    this.number = (before?.number ?? -1) + 1;
    this.ledger = new Ledger(kernel);
    this.tasks = new TaskRules(kernel, overlaps, before?.tasks);
    this.raft = new RaftRules(kernel, marks);
    this.nodes = new NodeRules(kernel, marks);
  }

  /** It begins with what one manager had, and without all that were members of its group. */
  begin({ raftId, nodeId, log, view }: Beginning, { nodes, removed }: Configuration): void {
    this.without = new Set([...nodes.keys(), ...removed]);
    const { index, term } = log.before;
    this.ledger.begin(view, index);
    this.tasks.begin(view.find('task'));
    this.raft.begin({ index, term, raftId, nodeId });
  }
}

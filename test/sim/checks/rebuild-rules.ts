import {
  isEqual,
  type Node,
  type ObjectKind,
  objectKinds,
  type StoreObject,
} from '../../../src/api/index.ts';
import { decodeRequest } from '../../../src/manager/store/log-entry.ts';
import type { ReadView } from '../../../src/manager/store/view.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Marks } from '../kernel/marks.ts';
import type { Disk } from '../ports/disk.ts';
import type { Age } from './age.ts';
import type { CommittedLog } from './raft/committed-log.ts';

/**
 * What a rebuild from one manager may lose, and what not. Whoever forces it accepts the loss of what
 * this manager never had: of the committed entries those beyond the last that its log has in common
 * with them, whoever was told of one. Nothing else may be missing: up to there all is as it was
 * committed, and what the log holds beyond is kept, too, since it may have been acknowledged.
 */
export class RebuildRules {
  readonly #kernel: Kernel;
  readonly #marks: Marks;

  constructor(kernel: Kernel, marks: Marks) {
    this.#kernel = kernel;
    this.#marks = marks;
  }

  /**
   * One manager is about to go on alone.
   *
   * @param disk with its log of old
   * @param view what it will begin with
   * @param own its node
   * @returns the last entry of its log that is known to have been committed
   */
  check({ ledger, raft }: Age, disk: Disk, view: ReadView, own: string): number {
    const last = disk.durableIndex;
    const kept = lastInCommon(disk, raft.committed);
    if (kept < ledger.index) this.#marks.hit('a rebuild lost what only others had');
    if (kept < last) this.#marks.hit('a rebuild kept what was not known to be committed');
    const due = ledger.stateAt(kept);
    for (let index = kept + 1; index <= last; index += 1) {
      for (const { action, kind, object } of changesAt(disk, index)) {
        if (action === 'remove') due.get(kind)?.delete(object.id);
        else due.get(kind)?.set(object.id, object);
      }
    }
    for (const kind of objectKinds) this.#checkAll(kind, due.get(kind) ?? new Map(), view);
    for (const node of view.find('node')) {
      this.#checkNode(due.get('node')?.get(node.id) as Node, node, own); // By its kind.
    }
    return kept;
  }

  #checkAll(kind: ObjectKind, due: ReadonlyMap<string, StoreObject>, view: ReadView): void {
    const found = view.find(kind);
    const missing = [...due.keys()].find((id) => view.get(kind, id) === undefined);
    const other = found.find(({ id }) => !due.has(id));
    if (missing !== undefined) this.#violate(`${kind} ${missing} is gone`);
    if (other !== undefined) this.#violate(`there is a ${kind} ${other.id}`);
    if (kind === 'node') return;
    const changed = found.find((object) => !isEqual(object, due.get(object.id)));
    if (changed !== undefined) this.#violate(`${kind} ${changed.id} is not what it was`);
  }

  /** Nothing of a node changes but who manages, and that nobody has heard from it. */
  #checkNode(before: Node, node: Node, own: string): void {
    const wasManager = before.role === 'MANAGER' || before.spec?.desiredRole === 'MANAGER';
    const due = node.id === own ? 'MANAGER' : 'WORKER';
    if (node.role !== due || node.spec?.desiredRole !== due) {
      this.#violate(`node ${node.id} is ${node.role}, and is to be ${due}`);
    }
    if (wasManager && node.id !== own && node.status?.state !== 'DOWN') {
      this.#violate(`node ${node.id}, which is left behind, is ${node.status?.state ?? 'nothing'}`);
    }
    const rest = ({ spec, ...others }: Node): object => ({
      ...others,
      spec: { ...spec, desiredRole: due },
      role: due,
      meta: null,
      status: null,
    });
    if (!isEqual(rest(before), rest(node))) this.#violate(`node ${node.id} is not what it was`);
  }

  #violate(what: string): void {
    this.#kernel.violate('rebuilds-keep-what-is-there', `after a rebuild ${what}`);
  }
}

/** The last entry that a log has in common with what was committed. What is compacted was. */
function lastInCommon(disk: Disk, committed: CommittedLog): number {
  let index = Math.min(disk.durableIndex, committed.lastIndex);
  while (index > 0) {
    const term = disk.termAt(index);
    if (term === undefined || term === committed.termOf(index)) break;
    index -= 1;
  }
  return index;
}

function changesAt(disk: Disk, index: number): ReturnType<typeof decodeRequest> {
  const data = disk.dataAt(index);
  return data === undefined ? [] : decodeRequest(data);
}

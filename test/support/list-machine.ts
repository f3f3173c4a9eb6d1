import type { StateMachine } from '../../src/raft/index.ts';

/** A state machine that remembers what was applied, as text. */
export class ListMachine implements StateMachine {
  applied: string[] = [];
  restores = 0;

  /** Is told the index of each entry. */
  onApply: (index: number) => void = () => undefined;

  apply({ index, data }: { readonly index: number; readonly data: Buffer }): void {
    this.onApply(index);
    this.applied.push(data.toString());
  }

  snapshot(): Iterable<Buffer> {
    return [Buffer.from(JSON.stringify(this.applied))];
  }

  restore(data: Buffer): void {
    this.restores += 1;
    this.applied = JSON.parse(data.toString()) as string[];
  }
}

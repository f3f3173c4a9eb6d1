import { ByteReader } from './byte-reader.ts';
import { readJournal } from './journal.ts';

/** The files that make up a database, as its MANIFEST says. */
export interface Manifest {
  /** The size of each table, by its number. */
  readonly tables: ReadonlyMap<number, number>;
  /** Journals from this one on are not yet in tables. */
  readonly firstJournal: number;
  /** An older journal that is not either; 0 if there is none. */
  readonly previousJournal: number;
  /** The sequence number of the last write that the tables may hold. */
  readonly lastSequence: number;
}

/**
 * Adds up the edits in a MANIFEST. leveldb db/version_edit.cc
 *
 * @throws RangeError, if it is not what was written
 */
export function readManifest(file: Buffer): Manifest {
  const tables = new Map<number, number>();
  const numbers = { firstJournal: 0, previousJournal: 0, lastSequence: 0, nextFile: 0 };
  for (const item of readJournal(file)) {
    if (item.kind === 'bad') throw new RangeError(`it is damaged at ${item.offset}`);
    const edit = new ByteReader(item.data);
    while (!edit.isAtEnd) applyField(edit, tables, numbers);
  }
  // The first edit has them all.
  if (numbers.nextFile === 0) throw new RangeError('it is cut short');
  return { tables, ...numbers };
}

/** What edits replace. */
type Numbers = Record<'firstJournal' | 'previousJournal' | 'lastSequence' | 'nextFile', number>;

function applyField(edit: ByteReader, tables: Map<number, number>, numbers: Numbers): void {
  switch (edit.varint()) {
    case 1: // The name of the comparator.
      edit.prefixed();
      return;
    case 2:
      numbers.firstJournal = edit.varint();
      return;
    case 3:
      numbers.nextFile = edit.varint();
      return;
    case 4:
      numbers.lastSequence = edit.varint();
      return;
    case 5: // Where the next compaction begins.
      edit.varint();
      edit.prefixed();
      return;
    case 6:
      edit.varint();
      tables.delete(edit.varint());
      return;
    case 7: {
      edit.varint();
      const number = edit.varint();
      tables.set(number, edit.varint());
      edit.prefixed();
      edit.prefixed();
      return;
    }
    case 9:
      numbers.previousJournal = edit.varint();
      return;
    default:
      throw new RangeError('it has a field of a kind that is not known');
  }
}

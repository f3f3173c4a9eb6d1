/** Whose figures stand in which column. */
export const contenders = ['swarmd', 'swarmd, own agents', 'stock'] as const;
export type Contender = (typeof contenders)[number];

export type Unit = 'ms' | 's' | '/s' | 'MiB' | '%';

/** What a figure is wanted to be: at most or at least so much. */
export type Budget = { readonly most: number } | { readonly least: number };

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly unit: Unit;
  readonly budget?: Budget;
  /** With our own agents, where something else is wanted of them. */
  readonly ownBudget?: Budget;
}

/** What a measure is given, and whom it tells. */
export interface Context {
  readonly contender: Contender;
  /** The same, smaller: to see that it works. */
  readonly isQuick: boolean;
  readonly signal: AbortSignal;
  /** Notes a figure for a row of the bench. */
  readonly note: (row: string, value: number) => void;
  /** Tells whoever waits what is being done. */
  readonly tell: (text: string) => void;
  /** Takes charge of something that is to be gone when the measure is over, however it ends. */
  readonly use: <T extends AsyncDisposable>(resource: T) => T;
}

/** Something that is measured. */
export interface Bench {
  readonly name: string;
  readonly about: string;
  readonly contenders: readonly Contender[];
  /** How often it is measured, if that is not as often as all the others. */
  readonly runs?: number;
  readonly rows: Readonly<Record<string, Row>>;
  readonly measure: (context: Context) => Promise<void>;
}

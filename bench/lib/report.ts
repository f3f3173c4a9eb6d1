import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import {
  type Bench,
  type Budget,
  type Contender,
  contenders,
  type Row,
  type Unit,
} from './bench.ts';
import { median } from './statistics.ts';

/** What was measured: of each bench, of each row, of each contender a figure for each run. */
export class Report {
  readonly #isQuick: boolean;
  readonly #benches: Bench[] = [];
  readonly #figures = new Map<string, number[]>();
  readonly #loads: number[] = [];
  readonly failures: string[] = [];

  constructor({ isQuick }: { readonly isQuick: boolean }) {
    this.#isQuick = isQuick;
  }

  /** From now on it is this that is measured. */
  begin(bench: Bench): void {
    this.#benches.push(bench);
  }

  note(bench: Bench, row: string, contender: Contender, value: number): void {
    if (bench.rows[row] === undefined) throw new Error(`${bench.name} has no row ${row}`);
    const figures = this.#of(bench, row, contender);
    figures.push(value);
    this.#figures.set(keyOf(bench, row, contender), figures);
    this.#loads.push(loadavg()[0] ?? 0);
  }

  #of(bench: Bench, row: string, contender: Contender): number[] {
    return this.#figures.get(keyOf(bench, row, contender)) ?? [];
  }

  /** The table of one bench, as Markdown; empty, if nothing was measured. */
  table(bench: Bench): string {
    const columns = contenders.filter((contender) =>
      Object.keys(bench.rows).some((row) => this.#of(bench, row, contender).length > 0),
    );
    if (columns.length === 0) return '';
    const lines = Object.entries(bench.rows).map(([key, row]) => [
      row.what,
      ...columns.map((contender) => shown(row, contender, this.#of(bench, key, contender))),
      budgetOf(row),
    ]);
    return markdown([[bench.about, ...columns, 'budget'], ...lines]);
  }

  /** All of it. */
  get markdown(): string {
    const { machine, load } = this.#conditions;
    return [
      `# The last \`npm run bench\`${this.#isQuick ? ' -- --quick: everything is smaller' : ''}`,
      `Medians, with the least and the most of several runs. ${machine}. Load while measuring: ${load}.`,
      ...this.#benches.map((bench) => this.table(bench)).filter((table) => table !== ''),
      ...(this.failures.length === 0 ? [] : [`Failed:\n\n- ${this.failures.join('\n- ')}`]),
    ].join('\n\n');
  }

  /** The same for programs. */
  get json(): unknown {
    const figures = this.#benches.flatMap((bench) =>
      Object.entries(bench.rows).map(([key, row]) => ({
        bench: bench.name,
        row: key,
        ...row,
        figures: Object.fromEntries(contenders.map((who) => [who, this.#of(bench, key, who)])),
      })),
    );
    const { machine, load } = this.#conditions;
    return { machine, load, isQuick: this.#isQuick, figures, failures: this.failures };
  }

  get #conditions(): { readonly machine: string; readonly load: string } {
    const model = cpus()[0]?.model ?? 'unknown processor';
    const memory = Math.round(totalmem() / 2 ** 30);
    const machine = `${cpus().length} cores (${model}), ${memory} GiB, Node.js ${process.version}, ${dockerVersion()}`;
    if (this.#loads.length === 0) return { machine, load: 'unknown' };
    const [least, most] = [Math.min(...this.#loads), Math.max(...this.#loads)];
    return { machine, load: `${least.toFixed(1)} to ${most.toFixed(1)}` };
  }

  /** Keeps it where the last one was. */
  async save(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/last.md`, `${this.markdown}\n`);
    await writeFile(`${folder}/last.json`, `${JSON.stringify(this.json, undefined, 2)}\n`);
  }
}

const keyOf = (bench: Bench, row: string, contender: Contender): string =>
  [bench.name, row, contender].join('/');

function dockerVersion(): string {
  try {
    return execFileSync('dockerd', ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    return 'no dockerd';
  }
}

const digitsOf = (value: number): number => (value >= 100 ? 0 : value >= 10 ? 1 : 2);
const withUnit = (value: number, unit: Unit): string => {
  const number = value.toFixed(digitsOf(value));
  return unit === '/s' || unit === '%' ? `${number}${unit}` : `${number} ${unit}`;
};

/** A median, with its spread; what is missed is bold. */
function shown(row: Row, contender: Contender, values: readonly number[]): string {
  if (values.length === 0) return '–';
  const middle = median(values);
  const text = withUnit(middle, row.unit);
  const isMissed = contender !== 'stock' && isOver(wantedOf(row, contender), middle);
  const spread = [Math.min(...values), Math.max(...values)].map((it) => it.toFixed(digitsOf(it)));
  return `${isMissed ? `**${text}**` : text}${values.length > 1 ? ` (${spread.join('–')})` : ''}`;
}

const wantedOf = ({ budget, ownBudget }: Row, contender: Contender): Budget | undefined =>
  contender === 'swarmd, own agents' ? (ownBudget ?? budget) : budget;

function isOver(budget: Budget | undefined, value: number): boolean {
  if (budget === undefined) return false;
  return 'most' in budget ? value > budget.most : value < budget.least;
}

function budgetOf({ budget, ownBudget, unit }: Row): string {
  const text = (wanted: Budget): string =>
    'most' in wanted ? `≤ ${wanted.most} ${unit}` : `≥ ${wanted.least}${unit}`;
  if (budget === undefined) return '';
  return ownBudget === undefined ? text(budget) : `${text(budget)}; own ${text(ownBudget)}`;
}

function markdown([head = [], ...lines]: ReadonlyArray<readonly string[]>): string {
  const widths = head.map((_, at) =>
    Math.max(...[head, ...lines].map((it) => it[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const rule = widths.map((width) => '-'.repeat(width));
  return [line(head), line(rule), ...lines.map(line)].join('\n');
}

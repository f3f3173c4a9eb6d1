import { readFileSync } from 'node:fs';
import type { Masking } from './masks.ts';

/** A line of a script: what is done on one node. */
export interface Step {
  /** The line itself. */
  readonly line: string;
  /** The number of the node. */
  readonly node: number;
  readonly command: string;
  readonly kind: Kind;
}

type Kind =
  /** What it prints and its exit code are compared. */
  | ({ readonly name: 'compare' } & Masking)
  /** It only reads, while a swarm may be on its way: it is repeated in both until they say the same. */
  | ({ readonly name: 'settle' } & Masking)
  /** It is repeated until what it prints is this. */
  | { readonly name: 'wait'; readonly until: RegExp }
  /** It is done, and must succeed; nobody looks at what it prints. */
  | { readonly name: 'prepare' };

const linePattern =
  /^(?<node>\d)(?<flags>[sn]*)(?:(?<mark>[$=:]) |\? \/(?<until>.*)\/ <- )(?<command>.+)$/u;

/**
 * Reads a script of shell commands:
 *
 * ```
 * # a remark
 * 1$ docker node promote node-02 on node 1; compared with what the other swarm says
 * 1= docker node ls              … which only reads: once both have come to rest
 * 1sn= docker service ps web     … in no order (s), and whatever the nodes (n)
 * 1: docker service rm web       done, and not compared
 * 1? /^2$/ <- docker … | wc -l   repeated until its output matches
 * ```
 */
export function readScript(name: string): readonly Step[] {
  const text = readFileSync(new URL(`scripts/${name}.txt`, import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(stepOf);
}

function stepOf(line: string): Step {
  const { node, flags = '', mark, until, command } = linePattern.exec(line)?.groups ?? {};
  if (node === undefined || command === undefined) throw new Error(`no step: ${line}`);
  const masking = { sorts: flags.includes('s'), hidesNodes: flags.includes('n') };
  const kindOf = (): Kind => {
    if (until !== undefined) return { name: 'wait', until: new RegExp(until, 'u') };
    if (mark === ':') return { name: 'prepare' };
    return { name: mark === '=' ? 'settle' : 'compare', ...masking };
  };
  return { line, node: Number(node), command, kind: kindOf() };
}

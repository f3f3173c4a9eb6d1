import { readFileSync } from 'node:fs';

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
  /** What it prints and its exit code are compared, whichever way its lines are ordered, or whichever nodes they name. */
  | { readonly name: 'compare'; readonly sorts: boolean; readonly hidesNodes: boolean }
  /** It is repeated until what it prints is this. */
  | { readonly name: 'wait'; readonly until: RegExp }
  /** It is done, and must succeed; nobody looks at what it prints. */
  | { readonly name: 'prepare' };

const linePattern =
  /^(?<node>\d)(?<flags>[sn]*)(?:\$ |(?<colon>: )|\? \/(?<until>.*)\/ <- )(?<command>.+)$/u;

/**
 * Reads a script of shell commands:
 *
 * ```
 * # a remark
 * 1$ docker node ls              on node 1; compared with what the other swarm says
 * 1sn$ docker service ps web     … in no order (s), and whatever the nodes (n)
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
  const { node, flags = '', colon, until, command } = linePattern.exec(line)?.groups ?? {};
  if (node === undefined || command === undefined) throw new Error(`no step: ${line}`);
  const kind: Kind =
    until !== undefined
      ? { name: 'wait', until: new RegExp(until, 'u') }
      : colon !== undefined
        ? { name: 'prepare' }
        : { name: 'compare', sorts: flags.includes('s'), hidesNodes: flags.includes('n') };
  return { line, node: Number(node), command, kind };
}

import type { RaftId } from '../../../src/raft/core/types.ts';
import type { Directive } from './trace-file.ts';

/** What a trace asks for and this core does not have: the rest of the trace means nothing. */
export class OutOfScope extends Error {}

/** A member's name in a trace: a small number. */
export function idFrom(text: string | undefined): RaftId {
  if (text === undefined || !/^\d+$/u.test(text)) throw new Error(`no member ID: ${text ?? ''}`);
  return text as RaftId; // It was just seen to be one.
}

export const idsFrom = (texts: readonly string[] | undefined): RaftId[] =>
  (texts ?? []).map(idFrom);

export function numberFrom(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || !Number.isInteger(value)) throw new Error(`no number: ${text ?? ''}`);
  return value;
}

/** An option's number, or `otherwise` without the option. */
export function numberOption({ options }: Directive, key: string, otherwise: number): number {
  const [text] = options.get(key) ?? [];
  return text === undefined ? otherwise : numberFrom(text);
}

export const isOn = ({ options }: Directive, key: string): boolean =>
  options.get(key)?.[0] === 'true';

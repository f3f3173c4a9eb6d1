import { type Node } from '../api/index.ts';
import { SwarmError } from '../runtime/index.ts';
import { isInNetwork, isSameAddress } from './ip-address.ts';

/** One condition a node must meet: `node.labels.zone == a`. */
export interface Constraint {
  readonly key: string;
  readonly operator: '==' | '!=';
  readonly value: string;
}

const operators = ['==', '!='] as const;
const keyPattern = /^[a-z_][a-z0-9\-_.]+$/iu;
const valuePattern = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/iu;

const nodeLabel = 'node.labels.';
const engineLabel = 'engine.labels.';

/**
 * Reads the constraints of a placement. swarmkit manager/constraint
 *
 * @throws SwarmError invalid-argument, in SwarmKit's words, for the first that is malformed
 */
export const parseConstraints = (expressions: readonly string[]): readonly Constraint[] =>
  expressions.map(parseConstraint);

function parseConstraint(expression: string): Constraint {
  const operator = operators.find((candidate) => expression.includes(candidate));
  if (operator === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `constraint expected one operator from ${operators.join(', ')}`,
    );
  }
  const at = expression.indexOf(operator);
  const key = expression.slice(0, at).trim();
  const value = expression.slice(at + operator.length).trim();
  if (!keyPattern.test(key)) {
    throw new SwarmError('invalid-argument', `key '${key}' is invalid`);
  }
  if (!valuePattern.test(value)) {
    throw new SwarmError('invalid-argument', `value '${value}' is invalid`);
  }
  return { key, operator, value };
}

/** Whether a node meets every one of some constraints. */
export const meetsConstraints = (constraints: readonly Constraint[], node: Node): boolean =>
  firstUnmet(constraints, node) === undefined;

/** The first of some constraints that a node does not meet. */
export const firstUnmet = (
  constraints: readonly Constraint[],
  node: Node,
): Constraint | undefined => constraints.find((constraint) => !meets(constraint, node));

function meets(constraint: Constraint, node: Node): boolean {
  if (constraint.key.toLowerCase() === 'node.ip') return meetsAddress(constraint, node);
  const actual = valueOf(constraint.key, node);
  if (actual === undefined) return false;
  const isSame = actual.toLowerCase() === constraint.value.toLowerCase();
  return isSame === (constraint.operator === '==');
}

function meetsAddress({ operator, value }: Constraint, node: Node): boolean {
  const address = node.status?.addr ?? '';
  const isMatch = isSameAddress(value, address) ?? isInNetwork(value, address);
  return isMatch !== undefined && isMatch === (operator === '==');
}

/** What a node has under a key: empty if it has nothing there, `undefined` for no known key. */
function valueOf(key: string, node: Node): string | undefined {
  switch (key.toLowerCase()) {
    case 'node.id':
      return node.id;
    case 'node.hostname':
      return node.description?.hostname ?? '';
    case 'node.role':
      return node.role;
    case 'node.platform.os':
      return node.description?.platform?.os ?? '';
    case 'node.platform.arch':
      return node.description?.platform?.architecture ?? '';
    default:
      return labelOf(key, node);
  }
}

/**
 * The value of the label that a key of the form `node.labels.X` or `engine.labels.X` names: empty
 * if the node does not have it, `undefined` if the key has no such form. The form is read without
 * regard to case, the label's own name is not.
 */
export function labelOf(key: string, node: Node): string | undefined {
  const form = key.toLowerCase();
  if (form.startsWith(nodeLabel) && form.length > nodeLabel.length) {
    return ownValue(node.spec?.annotations?.labels, key.slice(nodeLabel.length));
  }
  if (form.startsWith(engineLabel) && form.length > engineLabel.length) {
    return ownValue(node.description?.engine?.labels, key.slice(engineLabel.length));
  }
  return undefined;
}

/** A label may be called `constructor`. */
const ownValue = (labels: Readonly<Record<string, string>> | undefined, key: string): string =>
  labels !== undefined && Object.hasOwn(labels, key) ? (labels[key] ?? '') : '';

export { type ChildAbort, childOf, childOfBoth, firstOf, onAbort, orAborted } from './abort.ts';
export { type Clock, deadlineIn, SystemClock } from './clock.ts';
export {
  assert,
  AssertionError,
  type ErrorCode,
  isSwarmError,
  messageOf,
  SwarmError,
} from './errors.ts';
export { Heap } from './heap.ts';
export { createLog, type Log } from './log.ts';
export { CryptoRandom, newId, type Random } from './random.ts';
export { promptTiming, runReconcileLoop } from './reconcile-loop.ts';
export { runTogether } from './task-group.ts';
export { type Subscription, Watch } from './watch.ts';

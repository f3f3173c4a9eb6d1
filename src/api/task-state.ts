import type { TaskState } from './gen/types.ts';

/** The states of a task in order. Observed and desired state only ever move forward. */
const order: Readonly<Record<TaskState, number>> = {
  NEW: 0,
  PENDING: 64,
  ASSIGNED: 192,
  ACCEPTED: 256,
  PREPARING: 320,
  READY: 384,
  STARTING: 448,
  RUNNING: 512,
  COMPLETE: 576,
  SHUTDOWN: 640,
  FAILED: 704,
  REJECTED: 768,
  REMOVE: 800,
  ORPHANED: 832,
};

/** Negative if `a` comes before `b`, 0 if they are the same, positive if it comes after. */
export const compareStates = (a: TaskState, b: TaskState): number => order[a] - order[b];

/** Whether a task in this state has ended for good. */
export const isTerminal = (state: TaskState): boolean => order[state] > order.RUNNING;

/** Whether a task may go from one observed state to another: forward, or stay. */
export const mayAdvance = (from: TaskState, to: TaskState): boolean => order[to] >= order[from];

/** The number of a state on the wire and in the Engine API. */
export const stateNumber = (state: TaskState): number => order[state];

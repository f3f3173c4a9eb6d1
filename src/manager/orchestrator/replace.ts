import { compareStates, type Service, type Task } from '../../api/index.ts';
import { type Clock, newId, type Random } from '../../runtime/index.ts';
import type { ReadView, Transaction } from '../store/view.ts';
import { planRestart } from './plan-restart.ts';
import { newTask, type Place, placeOf } from './slots.ts';

/** What it takes to make a task. */
export interface TaskMaker {
  readonly clock: Clock;
  readonly random: Random;
}

/** One write, whole in itself: it reads what it decides by from the transaction it is given. */
export type Change = (tx: Transaction) => void;

/** The tasks that fill or filled a place of a service. */
export const tasksAt = (view: ReadView, serviceId: string, place: Place): readonly Task[] =>
  place.slot === '0'
    ? view
        .find('task', { by: 'node', nodeId: place.nodeId })
        .filter((task) => task.serviceId === serviceId && task.slot === '0')
    : view.find('task', { by: 'slot', serviceId, slot: place.slot });

/** Adds a task for a place of a service. */
export function createTask(
  tx: Transaction,
  { clock, random }: TaskMaker,
  service: Service,
  options: { readonly place: Place; readonly desiredState?: Task['desiredState'] },
): Task {
  const { place, ...rest } = options;
  const cluster = tx.find('cluster')[0];
  const given = { id: newId(random), nowMs: clock.now(), cluster, ...rest };
  const task = newTask(service, place, given);
  tx.create('task', task);
  return task;
}

/** Moves a task's desired state on, if it is not there or beyond already. */
export function advanceDesired(
  tx: Transaction,
  id: string,
  desiredState: Task['desiredState'],
): void {
  const task = tx.get('task', id);
  if (task === undefined || compareStates(task.desiredState, desiredState) >= 0) return;
  tx.update('task', { ...task, desiredState });
}

/** Replaces a task that ended or lost its node, if its restart policy says so. */
export function restartTask(tx: Transaction, maker: TaskMaker, id: string): void {
  const task = tx.get('task', id);
  const service = task && tx.get('service', task.serviceId);
  if (task === undefined || service === undefined) return;
  const place = placeOf(task);
  const plan = planRestart(task, tasksAt(tx, service.id, place), tx.get('node', task.nodeId));
  if (plan.kind === 'leave') return;
  advanceDesired(tx, id, 'SHUTDOWN');
  if (plan.kind === 'replace') createTask(tx, maker, service, { place, ...plan });
}

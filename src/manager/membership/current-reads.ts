import type { CallContext, Handlers } from '../../api/index.ts';
import { type ErrorCode, isSwarmError } from '../../runtime/index.ts';

type Control = Handlers<'Control'>;
type AnyMethod = (request: never, context: CallContext) => Promise<object>;

/**
 * The control API as a leader may answer it: a read waits until a majority has confirmed that this
 * manager still leads, so that it shows every change that was acknowledged before. Thesis §6.4. A
 * change needs no such round: it is committed by a majority. To refuse one for what the state says
 * (the name is taken, the version is older) is to have read. Who takes an old answer has it at once.
 *
 * @param confirm rejects, if this manager does not lead
 */
export function withCurrentReads(
  control: Control,
  confirm: (signal: AbortSignal) => Promise<void>,
): Control {
  const methods: ReadonlyArray<readonly [string, AnyMethod]> = Object.entries(control);
  return Object.fromEntries(
    methods.map(([name, method]) => {
      if (!/^(?:get|list)/u.test(name)) return [name, refusingAsOfNow(method, confirm)];
      const current: AnyMethod = async (request, context) => {
        if (context.isStale !== true) await confirm(context.signal);
        return method(request, context);
      };
      return [name, current];
    }),
  ) as unknown as Control; // Method by method of the same type as before.
}

function refusingAsOfNow(
  method: AnyMethod,
  confirm: (signal: AbortSignal) => Promise<void>,
): AnyMethod {
  return async (request, context) => {
    try {
      return await method(request, context);
    } catch (error) {
      if (isSwarmError(error) && !saysNothingOfState.has(error.code)) await confirm(context.signal);
      throw error;
    }
  };
}

/** What is never done here; a change nobody knows the outcome of. */
const saysNothingOfState: ReadonlySet<ErrorCode> = new Set(['unimplemented', 'unavailable']);

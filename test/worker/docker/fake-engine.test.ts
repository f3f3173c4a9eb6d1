import { complianceImages, compliancePrograms, describeEngine } from '../../compliance/engine.ts';
import { type Clock, SystemClock } from '../../../src/runtime/index.ts';
import { FakeEngine } from '../../support/fake-engine.ts';

const clock = new SystemClock();

/** A clock whose seconds are short. */
const hasty: Clock = {
  now: () => clock.now(),
  monotonic: () => clock.monotonic(),
  sleep: async (ms, signal) => clock.sleep(ms / 100, signal),
  turn: async () => clock.turn(),
};

describeEngine('the fake one', () => {
  const engine = new FakeEngine({ clock: hasty });
  for (const image of complianceImages) engine.images.add(image);
  for (const [command, program] of compliancePrograms) engine.programs.set(command, program);
  return engine;
});

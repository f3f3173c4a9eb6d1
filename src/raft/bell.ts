import { orAborted } from '../runtime/index.ts';

/** Wakes one sleeper. Rung while nobody sleeps, it is heard by the next who would. */
export class Bell {
  #isRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** @throws the signal's reason, if it aborts first */
  async heard(signal?: AbortSignal): Promise<void> {
    if (!this.#isRung) {
      const rung = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await (signal === undefined ? rung : orAborted(rung, signal));
    }
    this.#isRung = false;
    this.#wake = undefined;
  }
}

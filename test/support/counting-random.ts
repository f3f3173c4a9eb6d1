import type { Random } from '../../src/runtime/index.ts';

/** Chance without surprise: every draw is the next number, so IDs differ and sort as they came. */
export function countingRandom(): Random {
  let drawn = 0;
  return {
    bytes: (length) => {
      drawn += 1;
      const bytes = Buffer.alloc(length);
      bytes.writeUInt32BE(drawn, Math.max(length - 12, 0));
      return bytes;
    },
    integer: (below) => {
      drawn += 1;
      return drawn % below;
    },
  };
}

import type { Frozen } from '../../../api/index.ts';

/** An object of the store as a part of a response. Whoever sends a response only reads it. */
export const forWire = <T>(object: Frozen<T>): T => object as T; // Frozen<T> is T, made readonly.

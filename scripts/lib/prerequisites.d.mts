/** The root of the checkout. */
export const root: string;

/** Installs the packages of package-lock.json, if they are not there, and builds dist/ if it is old. */
export function ensureBuilt(): void;

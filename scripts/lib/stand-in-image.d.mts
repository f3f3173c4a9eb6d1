/** Why no stand-in can be built on this machine; undefined if they can. */
export function whyNoStandIn(): string | undefined;

/** Imports stand-ins into an Engine: those of these names, or all there are. */
export function importStandIns(socketPath: string, images?: readonly string[]): Promise<void>;

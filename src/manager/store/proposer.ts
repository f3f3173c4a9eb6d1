/** The log, as the store needs it. `raft`'s driver is one; unit tests have an immediate one. */
export interface Proposer {
  /** The log index the next proposal will have, if it is made before this turn ends. */
  nextIndex(): number;

  /**
   * Appends an entry to the log. Synchronous as far as the append; the promise settles once the
   * entry is committed **and applied** on this manager.
   *
   * @throws SwarmError unavailable, at once, if this manager does not lead
   * @returns a promise that rejects with SwarmError unavailable if the leadership is lost before;
   *   the entry may still be committed by the next leader
   */
  propose(data: Buffer): Promise<void>;
}

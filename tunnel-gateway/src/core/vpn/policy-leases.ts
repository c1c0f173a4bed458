/** A numbered policy of the engine's, held by one session. */
export interface PolicyLease {
  readonly number: number;
  /** What it was compiled for; the same key is the same number. */
  readonly key: string;
}

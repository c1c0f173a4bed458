/** Messages that are under way at once. */
export const CONCURRENCY = 64;

/** An amount of work at the scale of the command line, enough to keep that many under way. */
export function scaled(count: number, { scale }: { readonly scale: number }): number {
  return Math.max(CONCURRENCY, Math.round(count * scale));
}

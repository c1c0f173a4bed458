/** Ms until a time that is at most so far ahead; a clock that was put back keeps nobody waiting for longer. At least 1. */
export function msUntil(at: number, now: number, mostMs: number): number {
  return Math.max(1, Math.min(at - now, mostMs));
}

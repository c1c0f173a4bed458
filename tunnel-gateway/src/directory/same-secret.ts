import { hash, timingSafeEqual } from "node:crypto";

/** Whether a secret is the expected one; how long that takes says nothing of where they differ. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => hash("sha256", text, "buffer");
  return timingSafeEqual(digest(given), digest(expected));
}

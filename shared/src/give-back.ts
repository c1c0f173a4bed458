/**
 * Gives the memory of a buffer back at once; it is empty then, for whoever else still holds it. Left to the collector of garbage, which sees
 * little of what lies outside of the heap, megabytes wait for it, and it marks the whole heap time and again because of them. One that shares
 * its memory with others, as small ones do, is left alone.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  if (isWhole && byteLength > 0) buffer.transfer(0);
}

/** Own limits of the wire: `MAX_FACET_NESTING` of inventory-messages, and an entry with room for a key and the names around a facet. */
export const MAX_NESTING = 16;

const QUOTE = 34;
const BACKSLASH = 92;

/**
 * Whether arrays and objects of a JSON text lie at most `depth` deep within one another; without parsing it, since all that a bridge reads
 * for the first time passes here.
 */
export function isTextNestedAtMost(text: string, depth: number): boolean {
  let open = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (code === 123 || code === 91) {
      open += 1;
      if (open > depth) return false;
    } else if (code === 125 || code === 93) {
      open -= 1;
    }
  }
  return true;
}

/** Where the string that begins at `from` has its closing quotation mark. */
function endOfString(text: string, from: number): number {
  let at = text.indexOf('"', from + 1);
  while (at !== -1 && isEscaped(text, at)) at = text.indexOf('"', at + 1);
  return at === -1 ? text.length : at;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before -= 1;
  return (at - 1 - before) % 2 === 1;
}

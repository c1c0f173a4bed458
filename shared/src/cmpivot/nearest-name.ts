/** No suggestion for a word longer than this: it bounds the work, and no name of the language is as long. */
const MAX_WORD = 64;

/** The name that a word was probably meant to be: same letters in another case, or up to a third of them wrong. */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  if (word.length > MAX_WORD) return undefined;
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.floor(wanted.length / 3) + 1;
  for (const name of names) {
    const distance = editDistance(wanted, name.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** `, did you mean Bios?`, or nothing. */
export function suggestion(word: string, names: Iterable<string>): string {
  const name = nearestName(word, names);
  return name === undefined ? "" : `; did you mean ${name}?`;
}

/** Insertions, deletions, substitutions and exchanges of neighbours; `bound` where there are as many or more. */
function editDistance(one: string, other: string, bound: number): number {
  if (Math.abs(one.length - other.length) >= bound) return bound;
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1];
      const isExchanged =
        row > 1 &&
        column > 1 &&
        one[row - 1] === other[column - 2] &&
        one[row - 2] === other[column - 1];
      current.push(
        Math.min(
          at(last, column) + 1,
          at(current, column - 1) + 1,
          at(last, column - 1) + (isSame ? 0 : 1),
          isExchanged ? at(beforeLast, column - 2) + 1 : bound,
        ),
      );
    }
    beforeLast = last;
    last = current;
  }
  return Math.min(bound, at(last, other.length));
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}

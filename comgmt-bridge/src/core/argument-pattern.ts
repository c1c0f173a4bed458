/**
 * Which arguments of an entity a guardrail allows: `c:\logs\*` allows `C:\Logs\*.log`, and not `c:\logs\..\users\*`.
 *
 * A `*` in the pattern stands for anything, backslashes too. Wildcards in the argument are letters like all others: what a
 * `*` of the pattern covers, it covers whatever the argument's own wildcards find. Case does not matter, and a slash is
 * a backslash, as on the client.
 */

/** Longest argument: MAX_PATH of Windows. */
const MAX_ARGUMENT_CHARACTERS = 260;

/** Whether the pattern allows the argument. */
export function allowsArgument(pattern: string, argument: string): boolean {
  if (argument.length > MAX_ARGUMENT_CHARACTERS || leadsElsewhere(argument)) return false;
  return pattern === "*" || matches(normalized(pattern).split("*"), normalized(argument));
}

/** Parts of a path that are read as something else than they say: `..`, and what Windows drops at the end of a part. */
const ELSEWHERE = /^\s|[.\s]$|^\.[.*?]*$/;

/** So is what has a backquote, the escape of PowerShell's wildcards. */
function leadsElsewhere(path: string): boolean {
  const parts = normalized(path).split("\\");
  return path.includes("`") || parts.some((part) => part !== "" && ELSEWHERE.test(part));
}

function normalized(path: string): string {
  const isNetworkPath = /^[\\/]{2}/.test(path);
  const joined = path.toLowerCase().replaceAll(/[\\/]+/g, "\\");
  return isNetworkPath ? `\\${joined}` : joined;
}

/** `pieces` are what stands between the wildcards. What a wildcard stands for has no `%`: a variable may lead anywhere. */
function matches(pieces: readonly string[], text: string): boolean {
  const [first = "", ...rest] = pieces;
  if (!text.startsWith(first)) return false;
  let offset = first.length;
  const last = rest.pop();
  if (last === undefined) return text === first;
  for (const piece of rest) {
    const found = text.indexOf(piece, offset);
    if (found < 0 || text.slice(offset, found).includes("%")) return false;
    offset = found + piece.length;
  }
  const end = text.length - last.length;
  return end >= offset && text.endsWith(last) && !text.slice(offset, end).includes("%");
}

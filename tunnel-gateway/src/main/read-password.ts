import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { ConnectorError } from "@isthmus/shared/errors";

/** A terminal, as far as it is used. */
export interface Terminal extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
}

/** As the login forms have it. */
const MAX_PASSWORD_CHARACTERS = 1_024;

/**
 * A new password: typed twice at a terminal, which shows nothing of it, or the first line of anything else. Throws ConnectorError
 * `password-unusable`, or `interrupted` for Ctrl-C.
 */
export async function readPassword(input: Terminal, note: (line: string) => void): Promise<string> {
  if (!input.isTTY || !input.setRawMode) return usable(await firstLine(input));
  input.setRawMode(true);
  try {
    const characters = typed(input);
    note("Password (nothing is shown):");
    const password = usable(await lineOf(characters));
    note("The same again:");
    if ((await lineOf(characters)) !== password) throw unusable("the two are not the same");
    return password;
  } finally {
    input.setRawMode(false);
    input.pause();
  }
}

async function firstLine(input: Readable): Promise<string> {
  return (await text(input)).split(/\r?\n/, 1)[0] ?? "";
}

/** One character after the other: several may come at once. */
async function* typed(input: Readable): AsyncGenerator<string> {
  input.setEncoding("utf8");
  for await (const chunk of input.iterator({ destroyOnReturn: false })) yield* String(chunk);
}

async function lineOf(characters: AsyncGenerator<string>): Promise<string> {
  const line: string[] = [];
  for (;;) {
    const { value, done } = await characters.next();
    if (done || value === "\r" || value === "\n" || value === "\u0004") return line.join("");
    if (value === "\u0003") throw new ConnectorError("interrupted", "interrupted");
    if (value === "\u007f" || value === "\b") line.pop();
    else line.push(value);
  }
}

function usable(password: string): string {
  if (password === "") throw unusable("it is empty");
  if (password.length <= MAX_PASSWORD_CHARACTERS) return password;
  throw unusable(`it has more than ${MAX_PASSWORD_CHARACTERS} characters`);
}

function unusable(why: string): ConnectorError {
  return new ConnectorError("password-unusable", `the password cannot be used: ${why}`);
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import { extractFrom } from "./apt.ts";

/** Debian 12's own curl speaks HTTP/1.1 to a proxy; the one of its backports HTTP/2 too. It is unpacked, not installed. */
const SOURCE =
  "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main";
const FOLDER = join(import.meta.dirname, "../../node_modules/.cache/isthmus/curl-backport");

/** How to run it: the program, and the environment in which it finds its library. */
export interface CurlBackport {
  readonly program: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Where it lies, or undefined. */
export function findCurlBackport(): CurlBackport | undefined {
  const program = join(FOLDER, "usr/bin/curl");
  if (!existsSync(program)) return undefined;
  const library = join(FOLDER, "usr/lib/x86_64-linux-gnu");
  return { program, environment: { LD_LIBRARY_PATH: library } };
}

/** Brings it where it is missing. Returns what went wrong, or undefined. */
export function extractCurlBackport(): string | undefined {
  if (findCurlBackport() !== undefined) return undefined;
  return extractFrom(SOURCE, ["curl", "libcurl4"], FOLDER);
}

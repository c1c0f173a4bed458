import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { ConnectorError } from "@isthmus/shared/errors";
import { z } from "zod";

/** One line of a report: what became of one file. */
const entry = z.object({
  at: z.string(),
  file: z.string(),
  /** Of the file's bytes: a file that was replaced is imported again. */
  sha256: z.string(),
  userPrincipalName: z.string(),
  target: z.string(),
  state: z.enum(["created", "changed", "stored", "written", "failed"]),
  thumbprint: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
export type ImportEntry = z.infer<typeof entry>;

/**
 * The report of an import, JSON lines, appended as it goes: after a crash or a stop the same import goes on where it was.
 * Nothing in it is secret.
 */
export class ImportReport {
  readonly #file: string | undefined;
  readonly #done = new Set<string>();

  /** Throws ConnectorError `report-unreadable` for another file; lines that a crash cut off are passed over. */
  constructor(file: string | undefined) {
    this.#file = file;
    if (file === undefined || !existsSync(file)) return;
    const lines = readFileSync(file, "utf8").split("\n");
    const entries = lines.map(parse).filter((parsed) => parsed !== undefined);
    if (entries.length === 0 && lines.some((line) => line !== "")) {
      throw new ConnectorError("report-unreadable", `${file} is no report of an import`);
    }
    for (const parsed of entries) if (parsed.state !== "failed") this.#done.add(keyOf(parsed));
    if (lines.at(-1) !== "") appendFileSync(file, "\n");
  }

  isDone(of: Pick<ImportEntry, "file" | "sha256" | "userPrincipalName" | "target">): boolean {
    return this.#done.has(keyOf(of));
  }

  add(of: ImportEntry): void {
    if (of.state !== "failed") this.#done.add(keyOf(of));
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(of)}\n`);
  }
}

export function fileDigest(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function keyOf(of: Pick<ImportEntry, "file" | "sha256" | "userPrincipalName" | "target">): string {
  return JSON.stringify([of.file, of.sha256, of.userPrincipalName.toLowerCase(), of.target]);
}

function parse(line: string): ImportEntry | undefined {
  try {
    return entry.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

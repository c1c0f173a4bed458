import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { fileDigest, type ImportEntry, type ImportReport } from "./import-report.ts";
import type { UserPfxCertificate } from "./pfx-record.ts";

/** One file of an import. */
export interface ImportItem {
  readonly file: string;
  readonly userPrincipalName: string;
  readonly passwordFile: string;
}

/** Where records go. */
export interface ImportDestination {
  /** Stands in the report: the same file may go to several. */
  readonly name: string;
  put(record: UserPfxCertificate): Promise<Exclude<ImportEntry["state"], "failed">>;
}

const PFX_FILE = /\.(pfx|p12)$/i;
/** Own limit on one folder. */
const MAX_FILES = 100_000;

/**
 * The files of a folder: `<user principal name>.pfx` or `.p12`, each with its password in `<same name>.password`, or all
 * with the one in `passwordFile`. Throws ConnectorError `pfx-folder`.
 */
export function itemsIn(folder: string, passwordFile: string | undefined): ImportItem[] {
  const names = readdirSync(folder);
  const files = names.filter((name) => PFX_FILE.test(name)).sort();
  if (files.length === 0 || files.length > MAX_FILES) {
    const message = `${folder} has ${files.length} .pfx or .p12 files, expected 1 to ${MAX_FILES}`;
    throw new ConnectorError("pfx-folder", message);
  }
  return files.map((name) => {
    const userPrincipalName = basename(name).replace(PFX_FILE, "");
    const own = `${userPrincipalName}.password`;
    const found = names.includes(own) ? join(folder, own) : passwordFile;
    if (found === undefined) {
      const message = `${join(folder, name)}: neither ${own} nor --password-file is there`;
      throw new ConnectorError("pfx-folder", message);
    }
    return { file: join(folder, name), userPrincipalName, passwordFile: found };
  });
}

/**
 * Imports one after the other. A file that fails is reported and the rest goes on, unless the destination is away: then the
 * rest is left for the next run.
 */
export async function importAll(
  items: readonly ImportItem[],
  parts: {
    readonly make: (item: ImportItem, password: string) => Promise<UserPfxCertificate>;
    readonly destination: ImportDestination;
    readonly report: ImportReport;
    readonly clock: Clock;
    readonly note: (line: string) => void;
  },
): Promise<{
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  readonly left: number;
}> {
  const { make, destination, report, clock, note } = parts;
  const counts = { done: 0, skipped: 0, failed: 0, left: 0 };
  for (const [index, item] of items.entries()) {
    const { file, userPrincipalName } = item;
    const about = { file, userPrincipalName, sha256: fileDigest(file), target: destination.name };
    if (report.isDone(about)) {
      counts.skipped += 1;
      continue;
    }
    const at = new Date(clock.now()).toISOString();
    try {
      const record = await make(item, readSecretFile(item.passwordFile));
      const state = await destination.put(record);
      report.add({ at, ...about, state, thumbprint: record.thumbprint });
      counts.done += 1;
      note(`${index + 1}/${items.length} ${userPrincipalName} ${record.thumbprint} ${state}`);
    } catch (error) {
      if (!(error instanceof ConnectorError)) throw error;
      report.add({
        at,
        ...about,
        state: "failed",
        error: { code: codeOf(error), message: error.message },
      });
      counts.failed += 1;
      note(`${index + 1}/${items.length} ${userPrincipalName} failed: ${error.message}`);
      if (error.isRetryable) return { ...counts, left: items.length - index - 1 };
    }
  }
  return counts;
}

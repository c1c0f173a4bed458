import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CommonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import { writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import {
  holdStateFolder,
  type StateFolder,
  stateFolderAt,
} from "@isthmus/shared/kernel/state-folder";
import { openStore } from "@isthmus/shared/store/store";
import { z } from "zod";
import { AUTHORITY_FILES } from "../ca/authority-folder.ts";
import { importKeyFiles } from "../ca/import-key.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { CertificateOperations } from "../store/operations.ts";

/**
 * A backup is a folder:
 *
 *     manifest.json    when, the ledger's last issuance, SHA-256 of each file below
 *     ca/              the authority's files; keys stay encrypted
 *     ledger.db        a consistent copy of the store
 */
const MANIFEST = "manifest.json";
const LEDGER = "ledger.db";
const CA = "ca";
const STORE_MODULE = new URL("../store/operations.ts", import.meta.url);

const manifest = z.object({
  version: z.literal(1),
  createdAt: z.string(),
  lastIssuanceAt: z.number(),
  files: z.record(z.string(), z.string()),
});
export type BackupManifest = z.infer<typeof manifest>;

type Local = Pick<LocalConfiguration, "ca" | "database"> & Pick<CommonConfiguration, "stateFolder">;

/** Copies authority and ledger into a new folder, beside a running service too. Throws `backup-exists`, `backup-empty`. */
export function backUp(local: Local, out: string, clock: Clock): BackupManifest {
  refuseDatabase(local);
  const { storeFile } = stateFolderAt(local.stateFolder);
  if (existsSync(out)) throw fault("backup-exists", `${out} exists; a backup needs a new folder`);
  if (!existsSync(storeFile)) throw fault("backup-empty", `there is no ledger in ${storeFile} yet`);
  mkdirSync(join(out, CA), { recursive: true, mode: 0o700 });
  for (const name of [...presentFiles(local.ca.folder), ...importKeyFiles(local.ca.folder)]) {
    mkdirSync(dirname(join(out, CA, name)), { recursive: true, mode: 0o700 });
    copyFileSync(join(local.ca.folder, name), join(out, CA, name));
  }
  copyLedger(storeFile, join(out, LEDGER));
  const copied = join(out, CA);
  const keys = [...presentFiles(copied), ...importKeyFiles(copied)];
  const names = [LEDGER, ...keys.map((name) => join(CA, name))];
  const made: BackupManifest = {
    version: 1,
    createdAt: new Date(clock.now()).toISOString(),
    lastIssuanceAt: lastIssuanceAt(join(out, LEDGER)),
    files: Object.fromEntries(names.map((name) => [name, digestOf(join(out, name))])),
  };
  // Written last: without it the folder is no backup.
  writeFileAtomically(join(out, MANIFEST), `${JSON.stringify(made, undefined, 2)}\n`);
  return made;
}

/**
 * Puts a backup in place. The ledger never goes back: one that has issued later than the backup is not replaced, and the
 * link starts a new epoch, so that control plane and connector compare what they know. Throws `backup-invalid`,
 * `ledger-newer`, `authority-exists`, `store-in-use` (the service runs).
 */
export async function restore(local: Local, from: string, clock: Clock): Promise<BackupManifest> {
  refuseDatabase(local);
  const backup = readManifest(from);
  const folder = stateFolderAt(local.stateFolder);
  {
    using _held = holdStateFolder(folder);
    refuseNewerLedger(folder, backup);
    refuseOtherAuthority(local.ca.folder, join(from, CA));
    mkdirSync(local.ca.folder, { recursive: true, mode: 0o700 });
    for (const name of presentFiles(join(from, CA))) {
      writeFileAtomically(join(local.ca.folder, name), readFileSync(join(from, CA, name)));
    }
    restoreImportKeys(local.ca.folder, join(from, CA));
    for (const suffix of ["-wal", "-shm"]) rmSync(folder.storeFile + suffix, { force: true });
    copyFileSync(join(from, LEDGER), folder.storeFile);
  }
  await using store = await openStore<CertificateOperations>({
    file: folder.storeFile,
    module: STORE_MODULE,
  });
  const now = clock.now();
  await store.run("raiseEpoch", { now });
  const { createdAt } = backup;
  await store.run("recordAudit", { at: now, event: "ledger.restored", payload: { createdAt } });
  return backup;
}

/** What replicas share is backed up once, by the means of its server. */
function refuseDatabase({ database, ca }: Local): void {
  if (database === undefined) return;
  throw fault(
    "ledger-elsewhere",
    `the ledger is in PostgreSQL: copy it with pg_dump, and ${ca.folder} as it is; after it was put back, run \`database restored\` for each replica`,
  );
}

function readManifest(from: string): BackupManifest {
  let read: BackupManifest;
  try {
    read = manifest.parse(JSON.parse(readFileSync(join(from, MANIFEST), "utf8")));
  } catch (cause) {
    throw new ConnectorError("backup-invalid", `${from} holds no whole backup`, { cause });
  }
  const keys = [...Object.values(AUTHORITY_FILES), ...importKeyFiles(join(from, CA))];
  const names = [LEDGER, ...keys.map((name) => join(CA, name))];
  const isExpected = (name: string) => names.includes(name);
  const broken = Object.entries(read.files).find(
    ([name, digest]) => !isExpected(name) || digestOf(join(from, name)) !== digest,
  );
  if (broken === undefined && LEDGER in read.files) return read;
  throw fault("backup-invalid", `${from}: ${broken?.[0] ?? LEDGER} is missing or was changed`);
}

function refuseNewerLedger({ storeFile }: StateFolder, backup: BackupManifest): void {
  if (!existsSync(storeFile)) return;
  const present = lastIssuanceAt(storeFile);
  if (present <= backup.lastIssuanceAt) return;
  throw fault(
    "ledger-newer",
    `the ledger in place has issued until ${new Date(present).toISOString()}, the backup until ${new Date(backup.lastIssuanceAt).toISOString()}; a ledger never goes back`,
  );
}

/** The very same files may be there already, as on a machine whose ledger alone was lost. */
function refuseOtherAuthority(folder: string, backup: string): void {
  const other = presentFiles(folder).find(
    (name) =>
      !existsSync(join(backup, name)) ||
      digestOf(join(folder, name)) !== digestOf(join(backup, name)),
  );
  if (other === undefined) return;
  throw fault("authority-exists", `${join(folder, other)} is of another certification authority`);
}

/** Those that are there stay: one that was made since the backup has opened nothing that the backup holds. */
function restoreImportKeys(folder: string, backup: string): void {
  for (const name of importKeyFiles(backup)) {
    const place = join(folder, name);
    if (existsSync(place)) continue;
    mkdirSync(dirname(place), { recursive: true, mode: 0o700 });
    writeFileAtomically(place, readFileSync(join(backup, name)));
  }
}

function presentFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const known: readonly string[] = Object.values(AUTHORITY_FILES);
  return readdirSync(folder).filter((name) => known.includes(name));
}

/** One read transaction: a consistent copy whatever a running service writes meanwhile. */
function copyLedger(from: string, to: string): void {
  using database = new DatabaseSync(from, { readOnly: true, timeout: 5_000 });
  database.prepare("VACUUM INTO ?").run(to);
}

function lastIssuanceAt(file: string): number {
  using database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  const row = database
    .prepare("SELECT value FROM ledger_mark WHERE name = 'last-issuance-at'")
    .get();
  return Number(row?.["value"] ?? 0);
}

function digestOf(file: string): string {
  if (!existsSync(file)) return "";
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function fault(code: string, message: string): ConnectorError {
  return new ConnectorError(code, message);
}

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { holdStateFolder, stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { openStore } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { expect, test } from "vitest";
import { readAuthorityFolder } from "../ca/authority-folder.ts";
import { createImportKey } from "../ca/import-key.ts";
import type { Intent } from "../core/ledger.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { storeLedger } from "../store/store-ledger.ts";
import { makeAuthority } from "../testing/connector-under-test.ts";
import { backUp, restore } from "./backup.ts";

const clock = new FakeClock();

/** A machine with an authority and a ledger; `issue` adds a certificate. */
async function machine(folder: string) {
  const local = { ca: await makeAuthority(folder, clock), stateFolder: join(folder, "state") };
  return { local, issue: (serialNumber: string) => issue(local.stateFolder, serialNumber) };
}

async function openLedger(stateFolder: string) {
  mkdirSync(stateFolder, { recursive: true });
  return await openStore<CertificateOperations>({
    file: join(stateFolder, "store.db"),
    module: new URL("../store/operations.ts", import.meta.url),
  });
}

async function issue(stateFolder: string, serialNumber: string): Promise<void> {
  await using store = await openLedger(stateFolder);
  const ledger = storeLedger(store, clock);
  const intent: Intent = {
    profileId: "device",
    transactionId: serialNumber,
    requestHash: Buffer.from(serialNumber),
    frontDoor: "scep",
    authority: "embedded",
    issuerKeyId: "ab",
    issuer: "CN=CA",
    serialNumber,
    tbs: Buffer.from("tbs"),
    subject: "CN=a",
    notBefore: clock.now(),
    notAfter: clock.now() + 1_000_000,
    grant: { subjectAltNames: [] },
    requesterKeyHash: Buffer.from("key"),
    maxPerHour: 10,
    window: undefined,
    at: clock.now(),
  };
  await ledger.recordIntent(intent);
  const certificate = Buffer.from(serialNumber);
  await ledger.recordIssued({ serialNumber, certificate, thumbprint: "00", at: clock.now() });
}

async function serials(stateFolder: string): Promise<string[]> {
  await using store = await openLedger(stateFolder);
  const sql = "SELECT serial_number FROM enrolment ORDER BY serial_number";
  const rows = await store.query(sql, [], 10);
  return rows.map((row) => String(row["serial_number"]));
}

test("the drill: a lost machine is rebuilt from its backup and its passphrase", async () => {
  using folder = temporaryFolder();
  const { local, issue } = await machine(join(folder.path, "old"));
  await issue("0a");
  const out = join(folder.path, "backup");
  const made = backUp(local, out, clock);
  expect(made.lastIssuanceAt).toBe(clock.now());
  expect(readFileSync(join(out, "ca", "issuing.key.pem"), "utf8")).toContain("ENCRYPTED");

  const place = join(folder.path, "new");
  const rebuilt = {
    ca: { folder: join(place, "ca"), passphraseFile: "" },
    stateFolder: join(place, "s"),
  };
  await restore(rebuilt, out, clock);
  expect(await serials(rebuilt.stateFolder)).toEqual(["0a"]);
  const restored = readAuthorityFolder(rebuilt.ca.folder, "correct horse");
  const original = readAuthorityFolder(local.ca.folder, "correct horse");
  expect(restored.issuing.certificate.thumbprint).toBe(original.issuing.certificate.thumbprint);
  expect(publicKeyInfoOf(restored.ra.key)).toEqual(publicKeyInfoOf(original.ra.key));
});

test("after a restore the link starts a new epoch and the audit says what happened", async () => {
  using folder = temporaryFolder();
  const { local, issue } = await machine(folder.path);
  await issue("0a");
  const out = join(folder.path, "backup");
  backUp(local, out, clock);
  const epoch = async () => {
    await using store = await openLedger(local.stateFolder);
    return (await store.run("laneState")).epoch;
  };
  const before = await epoch();
  await restore(local, out, clock);
  expect(await epoch()).toBe(before + 1);
  await using store = await openLedger(local.stateFolder);
  const [last] = await store.query(
    "SELECT event FROM audit_journal ORDER BY idx DESC LIMIT 1",
    [],
    1,
  );
  expect(last?.["event"]).toBe("ledger.restored");
});

test("a ledger never goes back: a newer one is not replaced by a backup", async () => {
  using folder = temporaryFolder();
  const { local, issue } = await machine(folder.path);
  await issue("0a");
  const out = join(folder.path, "backup");
  backUp(local, out, clock);
  clock.advance(60_000);
  await issue("0b");
  await expect(restore(local, out, clock)).rejects.toMatchObject({ code: "ledger-newer" });
  expect(await serials(local.stateFolder)).toEqual(["0a", "0b"]);
});

test("a backup is taken while the service runs, and not put in place while it does", async () => {
  using folder = temporaryFolder();
  const { local, issue } = await machine(folder.path);
  await issue("0a");
  const out = join(folder.path, "backup");
  {
    using _held = holdStateFolder(stateFolderAt(local.stateFolder));
    await using _running = await openLedger(local.stateFolder);
    backUp(local, out, clock);
    await expect(restore(local, out, clock)).rejects.toMatchObject({ code: "store-in-use" });
  }
  await restore(local, out, clock);
});

test("a backup that was changed, is not whole, or is of another authority is refused", async () => {
  using folder = temporaryFolder();
  const { local, issue } = await machine(join(folder.path, "one"));
  await issue("0a");
  const out = join(folder.path, "backup");
  backUp(local, out, clock);
  expect(() => backUp(local, out, clock)).toThrow(
    expect.objectContaining({ code: "backup-exists" }),
  );

  const other = await machine(join(folder.path, "two"));
  const refused = (code: string) =>
    expect(restore(other.local, out, clock)).rejects.toMatchObject({ code });
  await refused("authority-exists");
  rmSync(other.local.ca.folder, { recursive: true });
  writeFileSync(join(out, "ca", "ra.pem"), "changed");
  await refused("backup-invalid");
  rmSync(join(out, "manifest.json"));
  await refused("backup-invalid");
  expect(existsSync(other.local.ca.folder)).toBe(false);
});

test("without a ledger there is nothing to back up", async () => {
  using folder = temporaryFolder();
  const { local } = await machine(folder.path);
  expect(() => backUp(local, join(folder.path, "backup"), clock)).toThrow(
    expect.objectContaining({ code: "backup-empty" }),
  );
});

test("import keys come along, and one that is there is never replaced", async () => {
  using folder = temporaryFolder();
  const { local, issue: issueHere } = await machine(folder.path);
  await issueHere("0a");
  const caFolder = local.ca.folder;
  const files = await createImportKey({ caFolder, name: "mail" }, "correct horse");
  const original = readFileSync(files.keyFile);
  backUp(local, join(folder.path, "backup"), clock);
  for (const [change, expected] of [
    [() => rmSync(files.keyFile), original],
    [() => writeFileSync(files.keyFile, "another"), Buffer.from("another")],
  ] as const) {
    change();
    await restore(local, join(folder.path, "backup"), clock);
    expect(readFileSync(files.keyFile)).toEqual(expected);
  }
});

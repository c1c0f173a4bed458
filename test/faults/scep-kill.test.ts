import { generateKeyPairSync } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { ConnectorProcess } from "./scep/connector-process.ts";
import { beginEnrolment, type Enrolment, enrolPersistently } from "./scep/persistent-device.ts";

/** How often the connector is killed: 10 in every run of the tests, 100 with KILLS=100. */
const KILLS = Number(process.env["KILLS"] ?? "10");
const DEVICES = 12;
/** Up to this long after it began to answer again. */
const LONGEST_LIFE_MS = 400;

test(`${KILLS} SIGKILLs at random moments: no serial reused, nothing unreported, nothing issued twice`, {
  timeout: 60_000 + KILLS * 6_000,
}, async () => {
  using folder = temporaryFolder();
  await using connector = new ConnectorProcess(folder.path);
  const first = new ScepDevice(await connector.start());
  const server = await first.server();
  let running = Promise.resolve(first);
  let isOver = false;
  const { challengeKey } = connector;
  const keys = Array.from({ length: 4 }, newKey);

  const enrolments: Enrolment[] = [];
  const devices = Array.from({ length: DEVICES }, async (_, index) => {
    while (!isOver) {
      const begun = await beginEnrolment(await running, challengeKey, keys[index % 4] ?? newKey());
      enrolments.push(await enrolPersistently(begun, () => running));
    }
  });
  for (let kill = 0; kill < KILLS; kill += 1) {
    await running;
    await delay(Math.random() * LONGEST_LIFE_MS);
    await connector.kill();
    running = connector.start().then((url) => new ScepDevice(url, server));
  }
  isOver = true;
  await Promise.all(devices);
  await connector.stop();

  const interrupted = enrolments.filter(({ attempts }) => attempts > 2);
  expect(interrupted.length).toBeGreaterThan(KILLS / 4);
  expect(enrolments.filter(({ certificates: [a, b] }) => a !== b)).toEqual([]);
  checkLedger(connector.storeFile, enrolments);
  expect(connector.run("audit", "verify")).toMatch(/\d/);
});

/** What the ledger, the stream and the audit say afterwards, against what the devices hold. */
function checkLedger(file: string, enrolments: readonly Enrolment[]): void {
  using store = new DatabaseSync(file, { readOnly: true });
  const rows = store
    .prepare("SELECT serial_number, hex(certificate) AS certificate, state FROM enrolment")
    .all();
  expect(rows.filter(({ state }) => state !== "issued")).toEqual([]);
  const serials = rows.map((row) => String(row["serial_number"]));
  expect(new Set(serials).size).toBe(serials.length);

  const issued = new Set(rows.map((row) => String(row["certificate"]).toLowerCase()));
  const held = new Set(enrolments.map(({ certificates: [certificate] }) => certificate));
  expect(held.size).toBe(enrolments.length);
  expect(issued).toEqual(held);

  const reported = store
    .prepare("SELECT entry FROM stream_entry WHERE stream = 'issuance'")
    .all()
    .map((row) => JSON.parse(String(row["entry"])) as { event: string; serialNumber: string });
  expect(reported.map(({ serialNumber }) => serialNumber).sort()).toEqual(serials.sort());
  const { audited } = store
    .prepare("SELECT count(*) AS audited FROM audit_journal WHERE event = 'enrolment.issued'")
    .get() as { audited: number };
  expect(audited).toBe(serials.length);
}

function newKey() {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
}

import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import type { PostgresqlPlace } from "@isthmus/shared/store/postgresql/place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { expect, test } from "vitest";
import { peer } from "../peers.ts";
import { PostgresqlServer } from "../postgresql.ts";
import { ConnectorProcess } from "./scep/connector-process.ts";
import { beginEnrolment, type Enrolment, enrolPersistently } from "./scep/persistent-device.ts";

/** How often a replica is killed: 6 times in every run of the tests, more with KILLS. */
const KILLS = Number(process.env["KILLS"] ?? "6");
const DEVICES = 12;
/** Both serve for up to this long before the next kill. */
const LONGEST_LIFE_MS = 600;

/** A replica that is killed and started again; `device` stays at its old address while it is down. */
class KillableReplica {
  readonly process: ConnectorProcess;
  #device: ScepDevice | undefined;
  url = "";

  constructor(process: ConnectorProcess) {
    this.process = process;
  }

  get device(): ScepDevice {
    if (this.#device === undefined) throw new Error("never started");
    return this.#device;
  }

  async start(server?: Awaited<ReturnType<ScepDevice["server"]>>): Promise<void> {
    this.url = await this.process.start();
    this.#device = new ScepDevice(this.url, server);
  }
}

test(`two replicas on PostgreSQL, one of them killed ${KILLS} times under load: nothing is lost or issued twice`, {
  timeout: 120_000 + KILLS * 10_000,
}, async (context) => {
  await using postgresql = await PostgresqlServer.start(peer("postgres", context));
  const place = await postgresql.newPlace("left");
  using folder = temporaryFolder();
  const { urlFile } = place;
  const local = (replica: string) => ({ database: { urlFile, replica } });
  await using leftProcess = new ConnectorProcess(join(folder.path, "left"), {
    local: local("left"),
  });
  await using rightProcess = new ConnectorProcess(join(folder.path, "right"), {
    local: local("right"),
    like: leftProcess,
  });
  const [left, right] = [new KillableReplica(leftProcess), new KillableReplica(rightProcess)];
  await left.start();
  const server = await left.device.server();
  await right.start(server);
  const replicas = [left, right] as const;

  let isOver = false;
  let turn = 0;
  // A dumb load balancer: one after the other, whether they live or not.
  const next = async () => {
    turn += 1;
    return (replicas[turn % 2] ?? left).device;
  };
  const { challengeKey } = leftProcess;
  const keys = Array.from({ length: 4 }, newKey);
  const enrolments: Enrolment[] = [];
  const devices = Array.from({ length: DEVICES }, async (_, index) => {
    while (!isOver) {
      const begun = await beginEnrolment(left.device, challengeKey, keys[index % 4] ?? newKey());
      enrolments.push(await enrolPersistently(begun, next));
    }
  });
  for (let kill = 0; kill < KILLS; kill += 1) {
    await delay(Math.random() * LONGEST_LIFE_MS);
    const killed = replicas[kill % 2] ?? left;
    await killed.process.kill();
    await killed.start(server);
  }
  isOver = true;
  await Promise.all(devices);

  // Each got the same certificate twice, most often from two different replicas.
  expect(enrolments.filter(({ certificates: [a, b] }) => a !== b)).toEqual([]);
  expect(enrolments.filter(({ attempts }) => attempts > 2).length).toBeGreaterThan(KILLS / 2);
  const [victim] = enrolments;
  await checkRevocation(left, right, victim?.certificates[0] ?? "");
  expect(leftProcess.run("audit", "verify")).toMatch(/\d/);
  expect(rightProcess.run("audit", "verify")).toMatch(/\d/);
  await leftProcess.stop();
  await rightProcess.stop();
  await checkLedger(postgresql, place, enrolments);
});

/** Revoked at one, on the list that the other one serves. */
async function checkRevocation(
  left: KillableReplica,
  right: KillableReplica,
  certificate: string,
): Promise<void> {
  const { serialNumber } = parseCertificate(Buffer.from(certificate, "hex"));
  left.process.run("revoke", "--serial", serialNumber);
  const [, issuing] = await right.device.caCertificates();
  if (issuing === undefined) throw new Error("no issuing CA");
  const keyId = keyIdentifierOf(issuing.publicKeyInfo).toString("hex");
  for (const { url } of [left, right]) {
    const address = `${new URL(url).origin}/crl/${keyId}.crl`;
    const isListed = async () => {
      const body = Buffer.from(await (await fetch(address)).arrayBuffer());
      return parseCertificateList(body).revoked.has(serialNumber);
    };
    await until(isListed, `${serialNumber} on the list of ${address}`, 20_000);
  }
}

/** What the shared ledger, and the streams and audits of both, say afterwards, against what the devices hold. */
async function checkLedger(
  server: PostgresqlServer,
  place: PostgresqlPlace,
  enrolments: readonly Enrolment[],
): Promise<void> {
  const rows = await server.rows(
    "SELECT serial_number, encode(certificate, 'hex') AS certificate, state FROM isthmus_ledger.enrolment",
    place,
  );
  expect(rows.filter(({ state }) => state !== "issued")).toEqual([]);
  const serials = rows.map((row) => String(row["serial_number"]));
  expect(new Set(serials).size).toBe(serials.length);
  const held = new Set(enrolments.map(({ certificates: [certificate] }) => certificate));
  expect(held.size).toBe(enrolments.length);
  expect(new Set(rows.map(({ certificate }) => certificate))).toEqual(held);

  const challenges = await server.rows(
    "SELECT id, enrolment_id FROM isthmus_ledger.challenge",
    place,
  );
  expect(challenges.map(({ id }) => id).sort()).toEqual(
    enrolments.map(({ challengeId }) => challengeId).sort(),
  );
  expect(new Set(challenges.map((row) => row["enrolment_id"])).size).toBe(challenges.length);

  const both = (columns: string, rest: string) =>
    ["left", "right"]
      .map((name) => `SELECT '${name}' AS replica, ${columns} FROM isthmus_replica_${name}.${rest}`)
      .join(" UNION ALL ");
  const entries = await server.rows(both("entry", "stream_entry WHERE stream = 'issuance'"), place);
  const events = entries.map(
    ({ entry }) => JSON.parse(String(entry)) as { event: string; serialNumber: string },
  );
  const reported = events.filter(({ event }) => event === "issued");
  expect(reported.map(({ serialNumber }) => serialNumber).sort()).toEqual(serials.sort());
  expect(new Set(entries.map(({ replica }) => replica)).size).toBe(2);
  const audited = await server.rows(
    both("idx", "audit_journal WHERE event = 'enrolment.issued'"),
    place,
  );
  expect(audited.length).toBe(serials.length);
}

function newKey() {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
}

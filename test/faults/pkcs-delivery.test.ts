import { createPrivateKey, type KeyObject } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { openDelivery } from "@isthmus/cert-connector/testing/pfx-fixture";
import {
  deviceKey,
  issued,
  makeChallenge,
  makeRequest,
  ScepDevice,
} from "@isthmus/cert-connector/testing/scep-device";
import {
  type ApiClient,
  ControlPlaneFixture,
} from "@isthmus/control-plane/main/control-plane-fixture";
import { type PfxDelivery, pfxDelivery } from "@isthmus/shared/link/messages";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { expect, test } from "vitest";
import { ConnectorHost, PROFILES } from "./pkcs/connector-host.ts";

/** How often the connector is killed: 5 in every run of the tests, 50 with KILLS=50. */
const KILLS = Number(process.env["KILLS"] ?? "5");
/** Making a key takes about 100 ms, the rest of an order some 20. */
const LONGEST_LIFE_MS = 250;
const DEVICE = "device-1";

test(`${KILLS} SIGKILLs while keys are made: one certificate and one envelope for each order`, {
  timeout: 60_000 + KILLS * 10_000,
}, async () => {
  using folder = temporaryFolder();
  const standalone = { desiredConfigurationFile: "desired.json" };
  await using host = await ConnectorHost.create(folder.path, { standalone });
  await host.run("challenge", "--profile", "device", "--device", "first");
  const challengeKey = createPrivateKey(readFileSync(host.path("state/challenge-key.pem")));
  const recipient = await enrolWith(await host.start(), challengeKey);
  const order = (requestId: string) => ({
    requestId,
    profileId: "pkcs",
    deviceId: DEVICE,
    subject: `CN=${requestId}`,
    recipient: { kind: "issued", serialNumber: recipient.serialNumber },
  });

  let interrupted = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const asked = host.ask("certificate.pkcs", order(`order-${kill}`)).catch(() => undefined);
    // The first at once, so that some order is interrupted however fast keys are made.
    await delay(Math.random() * LONGEST_LIFE_MS * (kill / KILLS));
    await host.kill();
    if ((await asked) === undefined) interrupted += 1;
    await host.start();
    const first = pfxDelivery.parse(await host.ask("certificate.pkcs", order(`order-${kill}`)));
    expect(await host.ask("certificate.pkcs", order(`order-${kill}`))).toEqual(first);
    const opened = await openDelivery(first, { certificate: recipient, key: deviceKey() });
    expect(opened.certificate.thumbprint).toBe(first.thumbprint);
  }
  expect(interrupted).toBeGreaterThan(0);
  await host.kill();
  using store = new DatabaseSync(host.storeFile, { readOnly: true });
  const made = "SELECT transaction_id FROM enrolment WHERE front_door = 'pkcs'";
  expect(store.prepare(made).all()).toHaveLength(KILLS);
  const drafts = "SELECT 1 FROM pkcs_order WHERE sealed_key IS NOT NULL OR envelope IS NULL";
  expect(store.prepare(drafts).all()).toEqual([]);
  expect(await host.run("audit", "verify")).toMatch(/\d/);
});

test("private keys are never readable by the cloud: neither on the link nor in its database, made here or imported", {
  timeout: 120_000,
}, async () => {
  using folder = temporaryFolder();
  await using cloud = await ControlPlaneFixture.start(join(folder.path, "cloud"));
  const admin = await cloud.client();
  await using host = await ConnectorHost.create(join(folder.path, "connector"));
  const { token } = await admin.post("/enrolmentTokens", { service: "cert-connector" }, 201);
  host.write("token", token);
  await host.run("enrol", "--token-file", host.path("token"));
  await host.run("pfx", "key", "create", "--name", "mail");
  const scepUrl = await host.start();
  const { value } = await admin.get("/connectors");
  const connectorId: string = value[0].id;
  const configuration = { configuration: { profiles: PROFILES } };
  await admin.call("PUT", `/connectors/${connectorId}/desiredConfiguration`, configuration, 200);
  const applied = async () =>
    (await admin.get(`/connectors/${connectorId}`)).configurationVersionApplied;
  await until(async () => (await applied()) === 1, "the profiles in force", 30_000);

  await admin.post("/managedDevices", { id: DEVICE, userPrincipalName: "ada@example.com" }, 201);
  const wanted = { profileId: "device", deviceId: DEVICE, subject: `CN=${DEVICE}` };
  const user = { userPrincipalName: "ada@example.com" };
  const { challenge } = await admin.post("/scepChallenges", { ...wanted, ...user }, 201);
  const recipient = await enrolAt(scepUrl, challenge);
  const known = `/issuedCertificates/${connectorId}.${recipient.serialNumber}`;
  await until(
    async () => (await admin.answer("GET", known)).status === 200,
    "the certificate",
    30_000,
  );

  const order = { connectorId, profileId: "pkcs" };
  const path = `/managedDevices/${DEVICE}/pkcsCertificates`;
  const made = await deliveryOf(admin, (await admin.post(path, order, 202)).id);
  const device = { certificate: recipient, key: deviceKey() };
  const first = await openDelivery(made, device);
  expect(first.certificate.thumbprint).toBe(made.thumbprint);

  // The same PFX, imported as an S/MIME one would be: its certificate names Ada.
  host.write("mail.password", first.password);
  const imported = await importTo(cloud, admin, host, first.pfx);
  const deliver = { connectorId, userPfxCertificateId: imported };
  const { id } = await admin.post(`/managedDevices/${DEVICE}/userPfxCertificates`, deliver, 202);
  const second = await openDelivery(await deliveryOf(admin, id), device);
  expect(second.privateKey.equals(first.privateKey)).toBe(true);

  await host.kill();
  const secrets = [first, second].flatMap(({ privateKey, password }) => {
    const { d = "", p = "" } = privateKey.export({ format: "jwk" });
    return [Buffer.from(d, "base64url"), Buffer.from(p, "base64url"), Buffer.from(password)];
  });
  expect(secrets.length).toBe(6);
  expect(leaks(filesBelow(cloud.folder), secrets)).toEqual([]);
  // Everything that goes up the link is written into the connector's store first.
  expect(leaks(filesBelow(host.path("state")), secrets)).toEqual([]);
  // The search itself finds what is there.
  const json = Buffer.from(JSON.stringify({ key: Buffer.from(first.password).toString("base64") }));
  expect(leaks([json], secrets)).toEqual([Buffer.from(first.password)]);
});

/** Imports into the control plane as an administrator's machine does that has the public key alone. */
async function importTo(
  cloud: ControlPlaneFixture,
  admin: ApiClient,
  host: ConnectorHost,
  pfx: Buffer,
): Promise<string> {
  writeFileSync(host.path("mail.pfx"), pfx);
  host.write("api-token", admin.token);
  await host.run(
    ...["pfx", "import", "--file", host.path("mail.pfx"), "--upn", "ada@example.com"],
    ...["--password-file", host.path("mail.password"), "--purpose", "unassigned"],
    ...["--public-key", host.path("ca/import-keys/mail.pub.pem"), "--key-name", "mail"],
    ...["--to-control-plane", cloud.url, "--token-file", host.path("api-token")],
    ...["--ca-file", join(cloud.folder, "ca.pem")],
  );
  const { value } = await admin.get("/userPfxCertificates");
  expect(value).toMatchObject([{ userPrincipalName: "ada@example.com", keyName: "mail" }]);
  return value[0].id;
}

/** What a device fetches. */
async function deliveryOf(admin: ApiClient, commandId: string): Promise<PfxDelivery> {
  const command = () => admin.get(`/commands/${commandId}`);
  const ended = async () =>
    !["queued", "sent", "accepted", "running"].includes((await command()).state);
  await until(ended, "the end of the command", 60_000);
  expect(await command()).toMatchObject({ state: "succeeded", error: null });
  return await admin.get(`/certificateDeliveries/${commandId}`);
}

async function enrolWith(scepUrl: string, challengeKey: KeyObject): Promise<Certificate> {
  const of = { deviceId: DEVICE, subject: `CN=${DEVICE}` };
  return await enrolAt(scepUrl, await makeChallenge(challengeKey, Date.now(), of));
}

async function enrolAt(scepUrl: string, challengePassword: string): Promise<Certificate> {
  const content = { subject: parseNameText(`CN=${DEVICE}`), challengePassword };
  return issued(await new ScepDevice(scepUrl).enrol(await makeRequest(content, Date.now())));
}

function filesBelow(folder: string): Buffer[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path));
}

/** Which secrets stand in the bytes, as they are or in hex or base64 at any offset. */
function leaks(files: readonly Buffer[], secrets: readonly Buffer[]): Buffer[] {
  return secrets.filter((secret) =>
    files.some((bytes) => formsOf(secret).some((form) => bytes.includes(form))),
  );
}

function formsOf(secret: Buffer): Buffer[] {
  const shifted = [0, 1, 2].flatMap((offset) => {
    const whole = secret.subarray(offset, offset + Math.floor((secret.length - offset) / 3) * 3);
    return [whole.toString("base64"), whole.toString("base64url")];
  });
  return [secret, ...[secret.toString("hex"), ...shifted].map((form) => Buffer.from(form))];
}

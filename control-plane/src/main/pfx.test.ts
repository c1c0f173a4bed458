import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConnectorFixture } from "./connector-fixture.ts";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const folder = temporaryFolder();
let plane: ControlPlaneFixture;
let admin: ApiClient;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
  admin = await plane.client();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

let made = 0;
/** A record as Microsoft's import tool sends it, of a certificate of its own. */
function newRecord(changes: Readonly<Record<string, unknown>> = {}) {
  made += 1;
  return {
    thumbprint: made.toString(16).padStart(40, "A"),
    intendedPurpose: "smimeEncryption",
    userPrincipalName: "ada@example.com",
    startDateTime: "2026-01-01T00:00:00Z",
    expirationDateTime: "2027-01-01T00:00:00+00:00",
    providerName: "Isthmus",
    keyName: "mail",
    paddingScheme: "oaepSha512",
    encryptedPfxBlob: "UEZY",
    encryptedPfxPassword: "U0VDUkVU",
    createdDateTime: "0001-01-01T00:00:00+00:00",
    lastModifiedDateTime: "0001-01-01T00:00:00+00:00",
    ...changes,
  };
}

describe("userPfxCertificates", () => {
  const path = "/userPfxCertificates";

  test("are created and read as in Graph, and both secrets are blank in every answer", async () => {
    const record = newRecord();
    const created = await admin.post(path, record, 201);
    expect(created).toMatchObject({
      thumbprint: record.thumbprint.toLowerCase(),
      expirationDateTime: "2027-01-01T00:00:00.000Z",
      encryptedPfxBlob: "",
      encryptedPfxPassword: "",
    });
    expect(created.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9a-f]{40}$/);
    for (const each of [`('${created.id}')`, `(${created.id})`, `/${created.id}`]) {
      expect(await admin.get(path + each)).toMatchObject({ id: created.id, encryptedPfxBlob: "" });
    }
    const filter = `$filter=${encodeURIComponent("userPrincipalName eq 'ada@example.com'")}`;
    const { value } = await admin.get(`${path}?${filter}`);
    expect(value).toMatchObject([{ id: created.id, encryptedPfxPassword: "" }]);
  });

  test("a second of the same user and certificate is a conflict, in whatever case", async () => {
    const record = newRecord();
    await admin.post(path, record, 201);
    const again = { ...record, userPrincipalName: "ADA@example.com" };
    expect((await admin.answer("POST", path, again)).status).toBe(409);
  });

  test("are changed, but never become another user's or another certificate's", async () => {
    const { id } = await admin.post(path, newRecord(), 201);
    const entity = `${path}('${id}')`;
    const changed = await admin.patch(entity, { intendedPurpose: "unassigned", keyName: "next" });
    expect(changed).toMatchObject({ intendedPurpose: "unassigned", keyName: "next" });
    const status = async (body: unknown) => (await admin.answer("PATCH", entity, body)).status;
    expect(await status({ userPrincipalName: "eve@example.com" })).toBe(400);
    expect(await status({ thumbprint: "b".repeat(40) })).toBe(400);
    expect((await admin.answer("DELETE", entity)).status).toBe(204);
    expect(await status({ keyName: "x" })).toBe(404);
    expect((await admin.answer("DELETE", entity)).status).toBe(404);
  });

  test.each([
    ["a thumbprint of SHA-256", { thumbprint: "a".repeat(64) }],
    ["PKCS#1 padding, which Graph no longer takes", { paddingScheme: "pkcs1" }],
    ["a blob that is not base64", { encryptedPfxBlob: "###" }],
    ["a blob over the limit", { encryptedPfxBlob: "A".repeat(65_540) }],
    ["a property that is none", { colour: "red" }],
    ["a date that is none", { startDateTime: "yesterday" }],
  ])("refuse %s", async (_, changes) => {
    expect((await admin.answer("POST", path, newRecord(changes))).status).toBe(400);
  });

  test("are for Intune administrators, not for helpdesk or readers", async () => {
    for (const role of ["Helpdesk operator", "Reader", "Compliance administrator"] as const) {
      const other = await plane.client(role);
      expect((await other.answer("GET", path)).status).toBe(403);
      expect((await other.answer("POST", path, newRecord())).status).toBe(403);
    }
  });
});

describe("a delivery", () => {
  const ENVELOPE = Buffer.from("only the device opens this").toString("base64");
  const HEX = "ab".repeat(32);

  const deliveryFor = (deviceId: string, requestId: string) => ({
    requestId,
    deviceId,
    serialNumber: "0b",
    thumbprint: HEX,
    recipientThumbprint: HEX,
    notAfter: Date.UTC(2030),
    envelope: ENVELOPE,
  });

  /** A device with a certificate of a connected connector. */
  async function deviceAt(connector: ConnectorFixture, id: string, serialNumber = id) {
    await admin.post("/managedDevices", { id, userPrincipalName: "ada@example.com" }, 201);
    await connector.issuance({
      event: "issued",
      at: Date.now(),
      transactionId: `t-${id}`,
      deviceId: id,
      subject: `CN=${id}`,
      serialNumber,
      issuer: "CN=Issuing CA",
      notBefore: 1,
      notAfter: 4_000_000_000_000,
      thumbprint: HEX,
    });
    const path = `/issuedCertificates/${connector.id}.${serialNumber}`;
    await until(async () => (await admin.answer("GET", path)).status === 200, "the certificate");
  }

  test("of a key made on the connector waits for its device, and not in the command's result", async () => {
    await using connector = await ConnectorFixture.enrol(plane, admin, "cert-connector");
    await connector.connect();
    await deviceAt(connector, "d1");
    const order = { connectorId: connector.id, profileId: "pkcs" };
    const command = await admin.post("/managedDevices/d1/pkcsCertificates", order, 202);
    await until(() => connector.commands.length === 1, "the command");
    expect(connector.commands[0]).toMatchObject({
      kind: "certificate.pkcs",
      payload: {
        deviceId: "d1",
        profileId: "pkcs",
        subject: "CN=d1",
        userPrincipalName: "ada@example.com",
        recipient: { kind: "issued", serialNumber: "d1" },
      },
    });
    const result = deliveryFor("d1", command.id);
    await connector.report({ id: command.id, state: "succeeded", result });
    const listed = async () => (await admin.get("/managedDevices/d1/certificateDeliveries")).value;
    await until(async () => (await listed()).length === 1, "the delivery");
    expect(await listed()).toMatchObject([
      { id: command.id, managedDeviceId: "d1", kind: "certificate.pkcs", envelope: ENVELOPE },
    ]);
    const ended = await admin.get(`/commands/${command.id}`);
    expect(ended.result).toMatchObject({ serialNumber: "0b" });
    expect(JSON.stringify(ended)).not.toContain(ENVELOPE);
  });

  test("that a connector makes out for another device is kept for neither", async () => {
    await using connector = await ConnectorFixture.enrol(plane, admin, "cert-connector");
    await connector.connect();
    await deviceAt(connector, "d2");
    await admin.post("/managedDevices", { id: "d3" }, 201);
    const order = { connectorId: connector.id, profileId: "pkcs" };
    const command = await admin.post("/managedDevices/d2/pkcsCertificates", order, 202);
    const result = deliveryFor("d3", command.id);
    await connector.report({ id: command.id, state: "succeeded", result });
    const state = async () => (await admin.get(`/commands/${command.id}`)).state;
    await until(async () => (await state()) === "succeeded", "the end of the command");
    for (const id of ["d2", "d3"]) {
      expect((await admin.get(`/managedDevices/${id}/certificateDeliveries`)).value).toEqual([]);
    }
  });

  test("of an imported PFX carries its secrets to the connector, and shows them nowhere", async () => {
    await using connector = await ConnectorFixture.enrol(plane, admin, "cert-connector");
    await connector.connect();
    await deviceAt(connector, "d4");
    const record = newRecord({ encryptedPfxBlob: "Q0lQSEVSVEVYVA==", paddingScheme: "none" });
    const { id: userPfxCertificateId } = await admin.post("/userPfxCertificates", record, 201);
    const order = { connectorId: connector.id, userPfxCertificateId };
    const command = await admin.post("/managedDevices/d4/userPfxCertificates", order, 202);
    await until(() => connector.commands.length === 1, "the command");
    expect(connector.commands[0]?.payload).toMatchObject({
      format: "modern",
      pfx: { encryptedPfxBlob: "Q0lQSEVSVEVYVA==", paddingScheme: "oaepSha512", keyName: "mail" },
    });
    expect(JSON.stringify(await admin.get(`/commands/${command.id}`))).not.toContain("Q0lQ");
  });

  test("wants a device, a recipient and a record that are there", async () => {
    await using connector = await ConnectorFixture.enrol(plane, admin, "cert-connector");
    await admin.post("/managedDevices", { id: "bare" }, 201);
    const order = { connectorId: connector.id, profileId: "pkcs" };
    const at = async (id: string, body: unknown) =>
      (await admin.answer("POST", `/managedDevices/${id}/pkcsCertificates`, body)).status;
    expect(await at("nobody", order)).toBe(404);
    expect(await at("bare", order)).toBe(404);
    expect(await at("bare", { ...order, recipientSerialNumber: "0a" })).toBe(202);
    expect(await at("bare", { ...order, recipientSerialNumber: "XY" })).toBe(400);
    const helpdesk = await plane.client("Helpdesk operator");
    const path = "/managedDevices/bare/pkcsCertificates";
    expect((await helpdesk.answer("POST", path, order)).status).toBe(403);
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { verifyJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
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

const enrolled = (service: "tunnel-gateway" | "cert-connector" | "comgmt-bridge") =>
  ConnectorFixture.enrol(plane, admin, service);

/** The device states of every update so far, newest last. */
const told = (gateway: ConnectorFixture) =>
  gateway.commands
    .filter(({ kind }) => kind === "devices.update")
    .map(({ payload }) => payload as { version: number; isSnapshot: boolean; devices: Told[] });
interface Told {
  readonly deviceId: string;
  readonly compliance: string;
  readonly removed: boolean;
}

describe("a tunnel gateway", () => {
  test("is told every device when it first connects, then each change within the second", async () => {
    await admin.post("/managedDevices", { id: "one", complianceState: "compliant" }, 201);
    await using gateway = await enrolled("tunnel-gateway");
    await gateway.connect();
    await until(() => told(gateway).length === 1, "the snapshot");
    expect(told(gateway)[0]).toMatchObject({ isSnapshot: true, devices: [{ deviceId: "one" }] });

    const asked = performance.now();
    await admin.patch("/managedDevices/one", { complianceState: "noncompliant" });
    await until(() => told(gateway).length === 2, "the change");
    expect(performance.now() - asked).toBeLessThan(1_000);
    expect(told(gateway)[1]).toMatchObject({
      isSnapshot: false,
      devices: [{ deviceId: "one", compliance: "noncompliant", removed: false }],
    });
    expect((await admin.answer("DELETE", "/managedDevices/one")).status).toBe(204);
    await until(() => told(gateway).length === 3, "the removal");
    expect(told(gateway)[2]).toMatchObject({ devices: [{ deviceId: "one", removed: true }] });
    const versions = told(gateway).map(({ version }) => version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
  });

  test("that was away gets what changed meanwhile, in order", async () => {
    await admin.post("/managedDevices", { id: "away", complianceState: "compliant" }, 201);
    await using gateway = await enrolled("tunnel-gateway");
    await gateway.connect();
    await until(() => told(gateway).length === 1, "the snapshot");
    await gateway.disconnect();
    for (const complianceState of ["noncompliant", "unknown", "compliant"]) {
      await admin.patch("/managedDevices/away", { complianceState });
    }
    await gateway.connect();
    await until(() => told(gateway).length === 4, "three changes");
    const states = told(gateway)
      .slice(1)
      .map(({ devices }) => devices[0]?.compliance);
    expect(states).toEqual(["noncompliant", "unknown", "compliant"]);
  });

  test("that runs on restored state is told everything anew", async () => {
    await using gateway = await enrolled("tunnel-gateway");
    await gateway.connect();
    await until(() => told(gateway).length === 1, "the first snapshot");
    await gateway.disconnect();
    await gateway.connect({ isNewEpoch: true });
    await until(() => told(gateway).length === 2, "the second snapshot");
    expect(told(gateway)[1]?.isSnapshot).toBe(true);
  });

  test("is a Microsoft Tunnel server with its health, at the site it is assigned to", async () => {
    await using gateway = await enrolled("tunnel-gateway");
    const server = () => admin.get(`/microsoftTunnelServers/${gateway.id}`);
    expect(await server()).toMatchObject({ tunnelServerHealthStatus: "unknown" });
    await gateway.connect();
    for (const status of ["healthy", "warning", "unhealthy"] as const) {
      gateway.health(status);
      await until(async () => (await server()).tunnelServerHealthStatus === status, status);
    }
    const site = await admin.post(
      "/microsoftTunnelSites",
      { displayName: "Site", publicAddress: "vpn.example.com" },
      201,
    );
    await admin.patch(`/microsoftTunnelServers/${gateway.id}`, { microsoftTunnelSiteId: site.id });
    const { value } = await admin.get(`/microsoftTunnelSites/${site.id}/microsoftTunnelServers`);
    expect(value).toMatchObject([{ id: gateway.id, microsoftTunnelSiteId: site.id }]);
    expect((await admin.answer("DELETE", `/microsoftTunnelSites/${site.id}`)).status).toBe(409);
  });
});

describe("a certificate", () => {
  const issued = (serialNumber: string) => ({
    event: "issued" as const,
    at: Date.now(),
    transactionId: `t-${serialNumber}`,
    profileId: "device",
    deviceId: "laptop",
    subject: "CN=laptop",
    serialNumber,
    issuer: "CN=Issuing CA",
    notBefore: 1,
    notAfter: 2_000_000_000_000,
    thumbprint: "ab".repeat(32),
  });

  test("is revoked at the connector that issued it, and gateways are told to look", async () => {
    await using gateway = await enrolled("tunnel-gateway");
    await gateway.connect();
    await using issuer = await enrolled("cert-connector");
    await issuer.connect();
    await issuer.issuance(issued("a1"));
    const id = `${issuer.id}.a1`;
    const path = `/issuedCertificates/${id}`;
    await until(async () => (await admin.answer("GET", path)).status === 200, "the certificate");

    const command = await admin.post(`${path}/revoke`, { reason: "keyCompromise" }, 202);
    expect((await admin.get(path)).state).toBe("revocationPending");
    const again = await admin.post(`${path}/revoke`, { reason: "superseded" }, 202);
    expect(again.id).toBe(command.id);
    await until(() => issuer.commands.length === 1, "the command");
    expect(issuer.commands[0]).toMatchObject({
      id: command.id,
      kind: "certificate.revoke",
      actor: "admin",
      payload: { serialNumber: "a1", reason: "keyCompromise" },
    });
    await issuer.issuance({ ...issued("a1"), event: "revoked", revocationReason: "keyCompromise" });
    await issuer.report({ id: command.id, state: "succeeded" });
    await until(async () => (await admin.get(path)).state === "revoked", "the revocation");
    await until(async () => (await admin.get(`/commands/${command.id}`)).state === "succeeded");
    await until(() => gateway.commands.some(({ kind }) => kind === "revocation.refresh"));
    const { error } = await admin.post(`${path}/revoke`, {}, 409);
    expect(error.innerError.code).toBe("certificate-revoked");
  });

  test("that nobody issued cannot be revoked", async () => {
    const { error } = await admin.post("/issuedCertificates/x.ff/revoke", {}, 404);
    expect(error.innerError.code).toBe("certificate-unknown");
  });
});

describe("a SCEP challenge", () => {
  const wanted = {
    profileId: "device",
    deviceId: "laptop",
    subject: "CN=laptop,O=Example",
    subjectAltNames: [{ type: "uri", value: "urn:isthmus:device:laptop" }],
  };

  test("is signed by the tenant key, bound to what was asked for, and not kept", async () => {
    const made = await admin.post("/scepChallenges", { ...wanted, validityMinutes: 5 }, 201);
    const file = join(plane.folder, "tenant-keys.json");
    const keys = JSON.parse(readFileSync(file, "utf8"));
    const payload = await verifyJws(made.challenge, JWS_TYPES.challenge, keys);
    expect(payload).toMatchObject({ ...wanted, jti: made.id, aud: "any" });
    const { iat, exp } = payload as { iat: number; exp: number };
    expect(exp - iat).toBe(300_000);
    const kept = await admin.get(`/scepChallenges/${made.id}`);
    expect(kept).toMatchObject({ subject: wanted.subject, managedDeviceId: "laptop" });
    expect(JSON.stringify(kept)).not.toContain(made.challenge);
  });

  test.each([
    ["a subject that is no name", { ...wanted, subject: "laptop" }, 400],
    ["no device", { ...wanted, deviceId: undefined }, 400],
    ["a validity without end", { ...wanted, validityMinutes: 100_000 }, 400],
    ["a connector that is not there", { ...wanted, connectorId: "nobody" }, 404],
  ])("%s is refused", async (_what, body, status) => {
    await admin.post("/scepChallenges", body, status);
  });
});

describe("desired configuration", () => {
  test("is versioned, signed, delivered, listed, and guarded by its version", async () => {
    await using connector = await enrolled("cert-connector");
    await connector.connect();
    const path = `/connectors/${connector.id}/desiredConfiguration`;
    const configuration = { profiles: [{ id: "device", validityDays: 30 }] };
    const first = await admin.call("PUT", path, { configuration }, 200);
    expect(first).toMatchObject({ version: 1, configuration });
    await until(() => connector.configurations.length === 1, "the configuration");
    expect(connector.configurations[0]).toEqual(configuration);
    const second = await admin.answer("PUT", path, { configuration: {} }, { "if-match": '"1"' });
    expect(second.body.version).toBe(2);
    const stale = await admin.answer("PUT", path, { configuration: {} }, { "if-match": '"1"' });
    expect(stale.status).toBe(412);
    expect((await admin.get(path)).version).toBe(2);
    const versions = await admin.get(`/connectors/${connector.id}/desiredConfigurations`);
    expect(versions.value).toHaveLength(2);
  });

  test("of a bridge that no bridge would take is refused with the path of each fault, and nothing is kept", async () => {
    await using connector = await enrolled("comgmt-bridge");
    const path = `/connectors/${connector.id}/desiredConfiguration`;
    const good = { source: "CM1", truthMinutes: 60 };
    const sites = [good, { source: "cm2", truthMinutes: 0, collections: ["All Systems"] }];
    const refused = await admin.answer("PUT", path, { configuration: { sites, other: 1 } });
    expect(refused.status).toBe(400);
    const { message } = refused.body.error;
    for (const at of [
      "sites[1].source",
      "sites[1].truthMinutes",
      "sites[1].collections[0]",
      "other",
    ]) {
      expect(message).toContain(`configuration.${at}: `);
    }
    expect((await admin.answer("GET", path)).status).toBe(404);
    const configuration = { sites: [good] };
    expect(await admin.call("PUT", path, { configuration }, 200)).toMatchObject({ configuration });
  });

  test("shows its certificate profiles", async () => {
    await using connector = await enrolled("cert-connector");
    const profile = { id: "wifi", validityDays: 7 };
    const path = `/connectors/${connector.id}/desiredConfiguration`;
    await admin.call("PUT", path, { configuration: { profiles: [profile] } }, 200);
    const { value } = await admin.get(
      `/certificateProfiles?$filter=connectorId%20eq%20'${connector.id}'`,
    );
    expect(value).toMatchObject([{ profileId: "wifi", connectorId: connector.id, profile }]);
  });
});

describe("a connector", () => {
  test("that is disabled loses its connection and comes back only once enabled", async () => {
    await using connector = await enrolled("cert-connector");
    await connector.connect();
    const path = `/connectors/${connector.id}`;
    expect(await admin.patch(path, { isDisabled: true, displayName: "Old one" })).toMatchObject({
      status: "disabled",
      displayName: "Old one",
    });
    await expect(connector.connect()).rejects.toThrow("identity-disabled");
    await admin.patch(path, { isDisabled: false });
    await connector.connect();
    expect(await admin.get(path)).toMatchObject({ status: "connected" });
  });

  test("a token enrols once and only until it is deleted", async () => {
    const { id } = await admin.post("/enrolmentTokens", { service: "cert-connector" }, 201);
    expect((await admin.answer("DELETE", `/enrolmentTokens/${id}`)).status).toBe(204);
    expect((await admin.answer("DELETE", `/enrolmentTokens/${id}`)).status).toBe(404);
  });
});

describe("a command", () => {
  test("that has not left is withdrawn, one that has is asked back", async () => {
    await using connector = await enrolled("cert-connector");
    const make = () =>
      admin.post("/commands", { connectorId: connector.id, kind: "health.report" }, 201);
    const early = await make();
    await until(async () => (await admin.get(`/commands/${early.id}`)).sequenceNumber !== null);
    await admin.post(`/commands/${early.id}/cancel`, undefined, 202);
    await connector.connect();
    await until(() => connector.commands.length === 2, "the command and its cancelling");
    expect(connector.commands[1]).toMatchObject({
      kind: "command.cancel",
      supersedes: [early.id],
    });
    await connector.report({ id: early.id, state: "cancelled" });
    await until(async () => (await admin.get(`/commands/${early.id}`)).state === "cancelled");
    await admin.post(`/commands/${early.id}/cancel`, undefined, 409);
    await admin.post("/commands/none/cancel", undefined, 404);
  });

  test.each(["certificate.revoke", "devices.update", "command.cancel"])(
    "of kind %s cannot be made by hand",
    async (kind) => {
      await admin.post("/commands", { connectorId: "x", kind }, 400);
    },
  );

  test("asks a connector what became of a device's requests, and keeps its answer", async () => {
    await using connector = await enrolled("cert-connector");
    await connector.connect();
    const kind = "certificate.trace";
    const order = { connectorId: connector.id, kind, payload: { deviceId: "device-1" } };
    const { id } = await admin.post("/commands", order, 201);
    await until(() => connector.commands.length === 1, "the command");
    expect(connector.commands[0]).toMatchObject({ kind, payload: { deviceId: "device-1" } });
    const result = { traces: [{ transactionId: "t", verdict: { outcome: "issued" } }] };
    await connector.report({ id, state: "succeeded", result });
    await until(async () => (await admin.get(`/commands/${id}`)).state === "succeeded");
    expect((await admin.get(`/commands/${id}`)).result).toEqual(result);
    await admin.post("/commands", { connectorId: connector.id, kind, payload: {} }, 400);
    await admin.post("/commands", { connectorId: connector.id, kind }, 400);
  });
});

describe("a new tenant key", () => {
  const rotate = () => askRunningService(join(plane.folder, "control.sock"), "tenant-key.rotate");
  const ask = (connector: ConnectorFixture) =>
    admin.post("/commands", { connectorId: connector.id, kind: "health.report" }, 201);

  test("is announced before anything it signs, to who is here, who was away and nobody else", async () => {
    await using here = await enrolled("cert-connector");
    await here.connect();
    await using away = await enrolled("cert-connector");
    await rotate();
    await ask(here);
    await until(() => here.commands.length === 1, "a command by the new key");
    expect(here.received).toEqual(["trust", "command"]);

    await ask(away);
    await away.connect();
    await until(() => away.commands.length === 1, "a command by the new key");
    expect(away.received).toEqual(["trust", "command"]);

    await using later = await enrolled("cert-connector");
    await later.connect();
    await ask(later);
    await until(() => later.commands.length === 1, "a command");
    expect(later.received).toEqual(["command"]);
  });

  test("leaves the audit chain verifiable with the keys there ever were", async () => {
    await rotate();
    const verified = await askRunningService(join(plane.folder, "control.sock"), "audit.verify");
    expect(verified?.result).toMatchObject({ isIntact: true });
    const file = join(plane.folder, "tenant-keys.json");
    const keys = JSON.parse(readFileSync(file, "utf8"));
    expect(new Set(keys.map(({ x }: { x: string }) => x)).size).toBe(keys.length);
    expect(keys.length).toBeGreaterThan(1);
  });
});

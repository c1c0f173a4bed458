import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { timelinePage } from "./timeline-reads.ts";

const ENTRA = "7f1c6b0e-6a3d-4a0f-9a55-1f2d2f7c9b11";
const SMSID = "GUID:11111111-2222-3333-4444-555555555555";

let site: Awaited<ReturnType<typeof inventoryFixture>>;

beforeEach(async () => {
  site = await inventoryFixture();
  await site.bridge.lease();
  const identity = { Name: "PC-1", AADDeviceID: ENTRA, SMSID };
  await site.bridge.tell(recordsOf(1, told("1", 1, { identity })));
});
afterEach(() => site[Symbol.asyncDispose]());

const lines = async () =>
  (
    await site.rows(
      "SELECT kind, actor, title FROM timeline_event WHERE kind <> 'device.appeared' ORDER BY id",
    )
  ).map(({ kind, actor, title }) => [kind, actor, title]);

const event = (event: string, serialNumber: string, deviceId?: string) =>
  JSON.stringify({ event, at: START, transactionId: "t", serialNumber, issuer: "CN=CA", deviceId });

test.each([
  ["Entra's", ENTRA],
  ["Entra's in capitals", ENTRA.toUpperCase()],
  ["the client's", SMSID],
  ["the client's without its prefix", SMSID.slice(5)],
])("a certificate for a device by %s id stands in its timeline once", async (_whose, deviceId) => {
  const ca = await site.connector("ca", "cert-connector");
  const issued = event("issued", "0a", deviceId);
  await ca.tellLines([issued, issued, event("revoked", "0a")], { stream: "issuance" });
  await ca.tellLines([event("revoked", "0a", deviceId)], { stream: "issuance" });
  expect(await lines()).toEqual([
    ["certificate.issued", "connector ca", "Certificate 0a issued"],
    ["certificate.revoked", "connector ca", "Certificate 0a revoked"],
  ]);
});

test.each([
  ["names it", { recordId: 1 }],
  ["has its Entra id", { azureADDeviceId: ENTRA }],
])(
  "a certificate for an administrators' entry that %s stands in its timeline",
  async (_how, joined) => {
    await site.store.run("createDevice", { id: "laptop", ...joined, actor: "admin", now: START });
    const ca = await site.connector("ca", "cert-connector");
    await ca.tellLines([event("issued", "0a", "laptop"), event("issued", "0b", "desktop")], {
      stream: "issuance",
    });
    expect(await lines()).toEqual([
      ["certificate.issued", "connector ca", "Certificate 0a issued"],
    ]);
  },
);

test("a certificate that has but the device's name is not in its timeline", async () => {
  const ca = await site.connector("ca", "cert-connector");
  await ca.tellLines([event("issued", "0b", "PC-1"), event("issued", "0c")], {
    stream: "issuance",
  });
  expect(await lines()).toEqual([]);
});

const audit = (index: number, event: string, payload: unknown) =>
  JSON.stringify({
    index,
    previousHash: "0".repeat(64),
    hash: String(index).padStart(64, "0"),
    at: START,
    event,
    payloadHash: "0".repeat(64),
    payload,
  });

test("VPN sessions and cuts of a device stand in its timeline, whatever else the audit says", async () => {
  const gateway = await site.connector("gateway", "tunnel-gateway");
  const who = { sessionId: "s", deviceId: ENTRA };
  await gateway.tellLines(
    [
      audit(1, "vpn.session-opened", { ...who, remoteAddress: "192.0.2.1", group: "staff" }),
      audit(2, "vpn.session-ended", { ...who, end: "disconnected" }),
      audit(3, "vpn.session-ended", { ...who, end: "cut", code: "device-noncompliant" }),
      audit(4, "relay.cut", { cuts: [{ deviceId: ENTRA, code: "revoked" }, { deviceId: "x" }] }),
      audit(5, "vpn.session-opened", { deviceId: 7 }),
      audit(6, "vpn.session-opened", undefined),
      audit(7, "other", { deviceId: ENTRA }),
    ],
    { stream: "audit" },
  );
  expect(await lines()).toEqual([
    ["tunnel.opened", "connector gateway", "VPN session began from 192.0.2.1"],
    ["tunnel.ended", "connector gateway", "VPN session ended: disconnected"],
    ["tunnel.cut", "connector gateway", "VPN session ended: device noncompliant"],
    ["tunnel.cut", "connector gateway", "Connection through the tunnel cut: revoked"],
  ]);
});

test.each([
  ["who did it", "CONNECTOR gate"],
  ["a path", "corp\\Ärzte"],
  ["a letter beyond ASCII", "Ärzte"],
  ["a quotation mark", 'a "guest"'],
])("a timeline is searched by %s", async (_what, search) => {
  const gateway = await site.connector("gateway", "tunnel-gateway");
  const group = 'CORP\\Ärzte, a "guest"';
  const opened = audit(1, "vpn.session-opened", { deviceId: ENTRA, group });
  await gateway.tellLines([opened], { stream: "audit" });
  const { events } = await timelinePage(site.store, { limit: 9, search });
  expect(events.map(({ kind }) => kind)).toEqual(["tunnel.opened"]);
});

test("when a device used the relay stands in its timeline", async () => {
  const gateway = await site.connector("gateway", "tunnel-gateway");
  const counts = { connections: 3, bytesUp: 10, bytesDown: 20 };
  await gateway.tellLines(
    [
      audit(1, "relay.session-opened", { deviceId: ENTRA, userPrincipalName: "ada@example.com" }),
      audit(2, "relay.session-ended", { deviceId: ENTRA, endedAt: START - 600_000, ...counts }),
      audit(3, "relay.session-ended", { deviceId: ENTRA, end: "gateway-restarted" }),
      audit(4, "relay.session-ended", { deviceId: ENTRA, connections: -1 }),
    ],
    { stream: "audit" },
  );
  expect(await lines()).toEqual([
    ["tunnel.opened", "connector gateway", "Connections through the relay began"],
    ["tunnel.ended", "connector gateway", "Connections through the relay ended, after 3"],
    ["tunnel.ended", "connector gateway", "Connections through the relay ended: gateway restarted"],
  ]);
  const [ended] = await site.rows("SELECT at FROM timeline_event WHERE title LIKE '% after 3'");
  expect(ended).toEqual({ at: START - 600_000 });
});

test("nobody but a gateway tells of VPN sessions", async () => {
  const other = await site.connector("other");
  const opened = audit(1, "vpn.session-opened", { sessionId: "s", deviceId: ENTRA });
  await other.tellLines([opened], { stream: "audit" });
  expect(await lines()).toEqual([]);
});

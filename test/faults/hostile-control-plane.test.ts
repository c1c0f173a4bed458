import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { signJws } from "@isthmus/shared/link/jws";
import type { Service, SignedCommand } from "@isthmus/shared/link/messages";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import {
  DEMO,
  desiredOfCertConnector,
  desiredOfTunnelGateway,
} from "@isthmus/suite/configurations";
import { type DeviceIdentity, enrol, newDeviceKey } from "@isthmus/suite/device/scep-device";
import { layoutOf } from "@isthmus/suite/layout";
import { freePorts } from "@isthmus/suite/ports";
import { runCommand } from "@isthmus/suite/process/child-service";
import { askChallenge, enrolDemoDevice, setUp } from "@isthmus/suite/set-up";
import { entryOf, Suite } from "@isthmus/suite/suite";
import type { SuiteRecord } from "@isthmus/suite/suite-record";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/**
 * The control plane in the hands of an attacker: it signs what it likes with the real tenant key, or with one of its own,
 * and the connectors hold to the guardrails on their hosts. Real processes throughout; the attacker's means are the
 * administrator's API and the control plane's own database.
 */

let folder: ReturnType<typeof temporaryFolder>;
let suite: Suite;
let record: SuiteRecord;

beforeAll(async () => {
  folder = temporaryFolder();
  suite = new Suite({ layout: layoutOf(join(folder.path, "suite")), ports: await freePorts() });
  await suite.openSite();
  record = await setUp(suite);
  await tighten("cert-connector", (guardrails) => {
    guardrails.commands.limits["certificate-revocations"] = { max: 2, perMinutes: 60 };
    guardrails["cert-connector"].subjects = ["CN=demo-.*"];
    guardrails["cert-connector"].subjectAltNames = { upn: [".*@example\\.com"] };
  });
  await tighten("tunnel-gateway", (guardrails) => {
    guardrails.commands.limits = { "session-cuts": { max: 0, perMinutes: 60 } };
  });
});

afterAll(async () => {
  await suite[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

describe("configurations beyond the guardrails", () => {
  const serverProfile = {
    id: "device-server",
    challenge: { kind: "signed" },
    extendedKeyUsage: ["serverAuth"],
    validityDays: 30,
  };

  test.each([
    ["a profile of another name", { ...serverProfile, id: "administrators" }],
    ["a server certificate", serverProfile],
    [
      "certificates for more than two years",
      { ...serverProfile, extendedKeyUsage: ["clientAuth"], validityDays: 820 },
    ],
  ])("%s is refused, and the last good one goes on issuing", async (_, profile) => {
    const version = await desire(
      "cert-connector",
      desiredOfCertConnector(suite.ports, [profile as never]),
    );
    const { configurationError, configurationVersionApplied } = await untilRefused(
      "cert-connector",
      version,
    );
    expect(configurationError).toMatch(/guardrail/);
    expect(configurationVersionApplied).toBeLessThan(version);
    expect((await enrolDemoDevice(suite)).certificate.serialNumber).toMatch(/^[0-9a-f]+$/);
  });

  test("a policy that opens another host is refused, and the host stays closed", async () => {
    const identity = await enrolDemoDevice(suite);
    const desired = desiredOfTunnelGateway(suite.ports);
    const everything = {
      name: "everything",
      groups: ["*"],
      rules: [
        { name: "all", action: "allow", destinations: [{ cidr: "0.0.0.0/0", ports: ["1-65535"] }] },
      ],
    };
    const version = await desire("tunnel-gateway", { ...desired, policies: [everything] });
    const { configurationError } = await untilRefused("tunnel-gateway", version);
    expect(configurationError).toMatch(/guardrail/);
    expect(await suite.connect(identity, DEMO.closedHost)).toMatchObject({ status: 403 });
    expect(await suite.connect(identity, "127.0.0.1")).toMatchObject({ status: 403 });
    await expectOpen(identity);
  });

  test("to have written down where people go is refused, and only who is written", async () => {
    const identity = await enrolDemoDevice(suite);
    const desired = desiredOfTunnelGateway(suite.ports);
    const version = await desire("tunnel-gateway", { ...desired, accessLog: { detail: "full" } });
    const { configurationError } = await untilRefused("tunnel-gateway", version);
    expect(configurationError).toMatch(/guardrail-exceeded.*accessLog\.mostDetail/);
    await expectOpen(identity);
    await desire("tunnel-gateway", desired);
  });
});

describe("commands beyond the guardrails", () => {
  test("a kind that the host does not allow is refused by name", async () => {
    const ended = await command("comgmt-bridge", "revocation.refresh");
    expect(ended).toMatchObject({
      state: "refused",
      error: { rule: "guardrails.commands.allow" },
    });
  });

  test("revocations stop at the window of the host, and what is left stays good", async () => {
    const identities: DeviceIdentity[] = [];
    for (let count = 0; count < 3; count++) identities.push(await enrolDemoDevice(suite));
    const states = [];
    for (const { certificate } of identities) states.push(await revoke(certificate.serialNumber));
    expect(states.map(({ state }) => state)).toEqual(["succeeded", "succeeded", "refused"]);
    expect(states[2]?.error.rule).toMatch(/^guardrails\.commands\.limits\./);
    await expectOpen(identities[2] as DeviceIdentity);
  });

  test("devices declared removed keep the sessions that the window of cuts protects", async () => {
    const identity = await enrolDemoDevice(suite);
    const answer = await suite.connect(identity, DEMO.openHost);
    if (answer.kind === "refused") throw new Error(answer.proxyStatus);
    let isClosed = false;
    answer.socket.once("close", () => {
      isClosed = true;
    });
    const graph = await suite.graph();
    await graph.patch(`/managedDevices/${DEMO.deviceId}`, { complianceState: "noncompliant" });
    await until(
      async () => (await eventsOf("tunnel-gateway")).includes("command.refused"),
      "the refusal in the gateway's journal",
    );
    expect(isClosed).toBe(false);
    answer.socket.destroy();
    await graph.patch(`/managedDevices/${DEMO.deviceId}`, { complianceState: "compliant" });
  });

  test("a challenge for a name outside the guardrails gets no certificate", async () => {
    const graph = await suite.graph();
    const { challenge } = await graph.post<{ challenge: string }>("/scepChallenges", {
      profileId: DEMO.profileId,
      deviceId: "demo-laptop",
      subject: "CN=domain-controller",
    });
    await expect(enrolWith("CN=domain-controller", challenge)).rejects.toThrow(
      /guardrail|badRequest/,
    );
    const upn = await askChallenge(suite, DEMO.deviceId, "administrator@corp.example");
    await expect(enrolWith(`CN=${DEMO.deviceId}`, upn)).rejects.toThrow(/guardrail|badRequest/);
  });
});

describe("statements that the pinned tenant key did not make for this connector", () => {
  test("a swapped key, another connector's command and an expired one have no effect, and the link goes on", async () => {
    const spared = await enrolDemoDevice(suite);
    const { serialNumber } = spared.certificate;
    const connectorId = idOf("cert-connector");
    const { privateKey } = generateKeyPairSync("ed25519");
    const tenantKey = readTenantKey();
    const before = await eventsOf("cert-connector");
    await suite.halt("control-plane");
    const seq = lastSeqOf(connectorId);
    const at = Date.now();
    const revocation = (overrides: Partial<SignedCommand>): SignedCommand => ({
      id: `forged-${overrides.seq}`,
      kind: "certificate.revoke",
      seq: 1,
      aud: connectorId,
      actor: "admin",
      issuedAt: at,
      notBefore: at - 1_000,
      expiresAt: at + 3_600_000,
      payload: { serialNumber, reason: "keyCompromise" },
      supersedes: [],
      approvals: [],
      ...overrides,
    });
    await plant(connectorId, revocation({ seq: seq + 1 }), privateKey);
    await plant(connectorId, revocation({ seq: seq + 2, aud: idOf("tunnel-gateway") }), tenantKey);
    await plant(
      connectorId,
      revocation({ seq: seq + 3, expiresAt: at - 500, notBefore: at - 10_000 }),
      tenantKey,
    );
    await suite.launch("control-plane");
    await until(
      async () =>
        (await eventsOf("cert-connector"))
          .slice(before.length)
          .filter((event) => /rejected|refused|expired/.test(event)).length >= 2,
      "the forgeries in the connector's journal",
    );
    await expectOpen(spared);
    expect(await command("cert-connector", "health.report")).toMatchObject({ state: "succeeded" });
  });

  test("the journals of all connectors show it and verify", async () => {
    expect(await eventsOf("cert-connector")).toEqual(
      expect.arrayContaining([
        "configuration.refused",
        "command.refused",
        "link.statement-rejected",
      ]),
    );
    expect(await eventsOf("tunnel-gateway")).toEqual(
      expect.arrayContaining(["configuration.refused", "command.refused"]),
    );
    for (const service of ["cert-connector", "tunnel-gateway", "comgmt-bridge"] as const) {
      const { configFile } = suite.layout.of(service);
      const words = ["audit", "verify", "--json", "--config", configFile];
      expect(JSON.parse(await runCommand(entryOf(service), words))).toMatchObject({
        isIntact: true,
      });
    }
  });
});

// biome-ignore lint/suspicious/noExplicitAny: a file of many shapes, edited in place
async function tighten(service: Service, edit: (guardrails: any) => void): Promise<void> {
  const { guardrailsFile } = suite.layout.of(service);
  const guardrails = JSON.parse(readFileSync(guardrailsFile, "utf8"));
  edit(guardrails);
  await suite.halt(service);
  chmodSync(guardrailsFile, 0o600);
  writeFileSync(guardrailsFile, JSON.stringify(guardrails));
  chmodSync(guardrailsFile, 0o444);
  await suite.launch(service);
}

function idOf(service: Service): string {
  const id = record.connectors[service];
  if (id === undefined) throw new Error(`${service} is not enrolled`);
  return id;
}

interface ConnectorState {
  readonly configurationVersion: number;
  readonly configurationVersionApplied: number;
  /** JSON of the last version that was refused, and why. */
  readonly configurationError: string | null;
}

async function connector(service: Service): Promise<ConnectorState> {
  return (await suite.graph()).get(`/connectors/${idOf(service)}`);
}

/** Gives a connector a configuration and returns its version. */
async function desire(service: Service, configuration: unknown): Promise<number> {
  const graph = await suite.graph();
  await graph.put(`/connectors/${idOf(service)}/desiredConfiguration`, { configuration });
  return (await connector(service)).configurationVersion;
}

async function untilRefused(service: Service, version: number): Promise<ConnectorState> {
  return await until(async () => {
    const state = await connector(service);
    if (state.configurationVersionApplied >= version) throw new Error("it was applied");
    const refused = JSON.parse(state.configurationError ?? "{}");
    return refused.version === version ? state : undefined;
  }, "the refusal reported");
}

interface Ended {
  readonly state: string;
  readonly error: { readonly rule: string };
}

async function command(service: Service, kind: string): Promise<Ended> {
  const graph = await suite.graph();
  const { id } = await graph.post<{ id: string }>("/commands", {
    connectorId: idOf(service),
    kind,
  });
  return await endOf(id);
}

async function endOf(id: string): Promise<Ended> {
  const graph = await suite.graph();
  return await until(async () => {
    const found = await graph.get<Ended>(`/commands/${id}`);
    return ["succeeded", "failed", "refused"].includes(found.state) ? found : undefined;
  }, `the end of command ${id}`);
}

async function revoke(serialNumber: string): Promise<Ended> {
  const graph = await suite.graph();
  const filter = encodeURIComponent(`serialNumber eq '${serialNumber}'`);
  const { id } = await until(
    async () => (await graph.list<{ id: string }>(`/issuedCertificates?$filter=${filter}`))[0],
    "the certificate known to the control plane",
  );
  await graph.post(`/issuedCertificates/${id}/revoke`, { reason: "keyCompromise" });
  const commands = await graph.list<{ id: string; kind: string; createdDateTime: string }>(
    "/commands?$filter=kind eq 'certificate.revoke'&$orderby=createdDateTime desc".replaceAll(
      " ",
      "%20",
    ),
  );
  return await endOf(commands[0]?.id ?? "");
}

async function enrolWith(subject: string, challenge: string): Promise<DeviceIdentity> {
  const privateKey = await newDeviceKey();
  return await enrol(await suite.scepServer(), { subject, challenge, privateKey });
}

async function expectOpen(identity: DeviceIdentity): Promise<void> {
  const answer = await suite.connect(identity, DEMO.openHost);
  if (answer.kind === "refused") throw new Error(`${answer.proxyStatus} ${answer.body}`);
  answer.socket.destroy();
}

function readTenantKey() {
  const pem = suite.read("control-plane", "signer/tenant-key.pem");
  return createPrivateKey(pem);
}

function controlPlaneDatabase(): DatabaseSync {
  return new DatabaseSync(join(suite.layout.of("control-plane").stateFolder, "store.db"));
}

function lastSeqOf(connectorId: string): number {
  const database = controlPlaneDatabase();
  try {
    const row = database
      .prepare("SELECT command_seq AS seq FROM connector WHERE id = ?")
      .get(connectorId);
    return Number(row?.["seq"]);
  } finally {
    database.close();
  }
}

/** Puts a signed command into the queue behind the control plane's back. */
async function plant(connectorId: string, forged: SignedCommand, key: KeyObject): Promise<void> {
  const jws = await signJws(forged, JWS_TYPES.command, key);
  const database = controlPlaneDatabase();
  try {
    database
      .prepare(
        `INSERT INTO command (id, connector_id, seq, kind, body, jws, state, actor, created_at, not_before, expires_at, state_at)
         VALUES (?, ?, ?, ?, ?, ?, 'queued', 'admin', ?, ?, ?, ?)`,
      )
      .run(
        forged.id,
        connectorId,
        forged.seq,
        forged.kind,
        JSON.stringify(forged.payload),
        jws,
        forged.issuedAt,
        forged.notBefore,
        forged.issuedAt + 3_600_000,
        forged.issuedAt,
      );
    database
      .prepare("UPDATE connector SET command_seq = ? WHERE id = ?")
      .run(forged.seq, connectorId);
  } finally {
    database.close();
  }
}

async function eventsOf(service: Service): Promise<string[]> {
  const file = join(suite.layout.of(service).stateFolder, "store.db");
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const rows = database.prepare("SELECT event FROM audit_journal ORDER BY idx").all();
    return rows.map(({ event }) => String(event));
  } finally {
    database.close();
  }
}

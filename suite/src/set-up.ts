import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SERVICES, type Service } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import {
  certConnectorConfiguration,
  comgmtBridgeConfiguration,
  controlPlaneConfiguration,
  DEMO,
  desiredOfBridge,
  desiredOfCertConnector,
  desiredOfTunnelGateway,
  guardrailsOf,
  tunnelGatewayConfiguration,
} from "./configurations.ts";
import { type DeviceIdentity, enrol, identityToPem, newDeviceKey } from "./device/scep-device.ts";
import type { Layout, SuiteService } from "./layout.ts";
import { allSettled } from "./process/all-settled.ts";
import { runCommand } from "./process/child-service.ts";
import { DEMO_SITE } from "./process/configuration-manager.ts";
import { enrolConnector } from "./process/enrol-connector.ts";
import { makeGatewayCertificate } from "./process/gateway-certificate.ts";
import { settled } from "./settled.ts";
import { connectorId, entryOf, type Suite } from "./suite.ts";
import { type SuiteRecord, writeSuiteRecord } from "./suite-record.ts";

const PASSPHRASE_BYTES = 24;
const JOIN_WITHIN_MS = 60_000;
const SECRET_MODE = 0o600;
/** Guardrails belong to somebody else than the service; where it could write them it warns. */
const GUARDRAILS_MODE = 0o444;

/**
 * Makes a whole suite in an empty folder and starts it: control plane with its own authority, certification authority,
 * enrolled connectors with guardrails and desired configurations, one managed device.
 */
export async function setUp(suite: Suite): Promise<SuiteRecord> {
  const { layout, ports } = suite;
  clear(layout);
  write(layout.configurationManager.tokenFile, randomBytes(24).toString("base64url"), SECRET_MODE);
  await suite.openConfigurationManager();
  writeSuiteRecord(layout, { isSetUp: false, ports, connectors: {}, issuerKeyId: "" });
  writeConnectorFiles(suite);
  writeConfiguration(layout, "control-plane", controlPlaneConfiguration(ports));
  const [issuerKeyId] = await allSettled([
    makeAuthority(layout),
    writeGatewayCertificate(layout),
    suite.launch("control-plane"),
  ]);
  const gateway = tunnelGatewayConfiguration({ layout, ports, issuerKeyId });
  writeConfiguration(layout, "tunnel-gateway", { ...gateway, ...cloudOf(suite) });
  const connectors = await enrolConnectors(suite);
  await configure(suite, connectors);
  await suite.launchConnectors();
  await joinDemoDevice(suite);
  await settled(suite);
  const record = { isSetUp: true, ports, connectors, issuerKeyId };
  writeSuiteRecord(layout, record);
  return record;
}

/** The demonstration's device is the first of the site, so that its pages have inventory, a timeline and actions beside its certificate. */
async function joinDemoDevice(suite: Suite): Promise<void> {
  const graph = await suite.graph();
  const filter = encodeURIComponent(`configurationManagerKey eq '${DEMO_SITE.firstResourceId}'`);
  const found = () => graph.list<{ readonly id: string }>(`/managedDevices?$filter=${filter}`);
  const device = await until(async () => (await found())[0], "the first device", JOIN_WITHIN_MS);
  await graph.patch(`/managedDevices/${DEMO.deviceId}`, { syncedDeviceId: device.id });
}

/** Asks for a challenge at the control plane's API for the demonstration's profile. */
export async function askChallenge(
  suite: Suite,
  deviceId: string,
  userPrincipalName?: string,
): Promise<string> {
  const graph = await suite.graph();
  const answer = await graph.post<{ challenge: string }>("/scepChallenges", {
    profileId: DEMO.profileId,
    deviceId,
    subject: `CN=${deviceId}`,
    ...(userPrincipalName && { userPrincipalName }),
  });
  return answer.challenge;
}

/** Enrols the demonstration's device and leaves its certificate and key as files for other clients. */
export async function enrolDemoDevice(suite: Suite): Promise<DeviceIdentity> {
  const challenge = await askChallenge(suite, DEMO.deviceId, DEMO.userPrincipalName);
  const privateKey = await newDeviceKey();
  const server = await suite.scepServer();
  const identity = await enrol(server, { subject: `CN=${DEMO.deviceId}`, challenge, privateKey });
  const { device, tls } = suite.layout;
  const { certificate, key } = identityToPem(identity);
  write(device.certificate, certificate);
  write(device.key, key, SECRET_MODE);
  write(device.gatewayAuthority, readFileSync(tls.authority, "utf8"));
  return identity;
}

/** What an earlier start left that did not come to its end. Nothing else in the folder is touched. */
function clear(layout: Layout): void {
  const folders = [
    ...[...SERVICES, "control-plane" as const].map((service) => layout.of(service).folder),
    dirname(layout.tls.key),
    dirname(layout.device.key),
  ];
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

function cloudOf({ cloud }: Suite): Readonly<Record<string, unknown>> {
  return cloud === undefined ? {} : { cloud };
}

function writeConnectorFiles(suite: Suite): void {
  const { layout, ports } = suite;
  for (const service of SERVICES) {
    write(layout.of(service).guardrailsFile, toJson(guardrailsOf(service, ports)), GUARDRAILS_MODE);
  }
  const certConnector = certConnectorConfiguration(layout, ports);
  writeConfiguration(layout, "cert-connector", { ...certConnector, ...cloudOf(suite) });
  writeConfiguration(layout, "comgmt-bridge", {
    ...comgmtBridgeConfiguration(layout, ports),
    ...cloudOf(suite),
  });
  write(
    layout.ca.passphraseFile,
    `${randomBytes(PASSPHRASE_BYTES).toString("hex")}\n`,
    SECRET_MODE,
  );
}

/** `ca init`; returns the issuing authority's key identifier, which the addresses of its lists contain. */
export async function makeAuthority(layout: Layout): Promise<string> {
  const { configFile } = layout.of("cert-connector");
  await runCommand(entryOf("cert-connector"), [
    ...["ca", "init", "--config", configFile],
    ...["--name", "Isthmus demonstration", "--root-key-out", layout.ca.rootKeyFile],
  ]);
  const [root, issuing] = ["root.pem", "issuing.pem"].map((file) =>
    readFileSync(join(layout.ca.folder, file), "utf8"),
  );
  write(layout.tls.deviceAuthorities, `${root}${issuing}`);
  const [der] = pemToDer(issuing ?? "", "CERTIFICATE");
  if (der === undefined) throw new Error("ca init wrote no issuing certificate");
  return keyIdentifierOf(parseCertificate(der).publicKeyInfo).toString("hex");
}

export async function writeGatewayCertificate(layout: Layout): Promise<void> {
  const made = await makeGatewayCertificate(
    [
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
    ],
    Date.now(),
  );
  write(layout.tls.authority, made.authority);
  write(layout.tls.certificate, made.certificate);
  write(layout.tls.key, made.key, SECRET_MODE);
}

async function enrolConnectors(suite: Suite): Promise<Record<Service, string>> {
  const graph = await suite.graph();
  const enrolled = await allSettled(
    SERVICES.map(async (service) => {
      const { configFile } = suite.layout.of(service);
      const of = { service, name: service, entry: entryOf(service), configFile };
      return [service, await enrolConnector(graph, of)] as const;
    }),
  );
  return Object.fromEntries(enrolled) as Record<Service, string>;
}

async function configure(
  suite: Suite,
  connectors: Readonly<Partial<Record<Service, string>>>,
): Promise<void> {
  const graph = await suite.graph();
  const desire = (service: Service, configuration: unknown) =>
    graph.put(`/connectors/${connectorId(connectors, service)}/desiredConfiguration`, {
      configuration,
    });
  await allSettled([
    desire("cert-connector", desiredOfCertConnector(suite.ports)),
    desire("tunnel-gateway", desiredOfTunnelGateway(suite.ports)),
    desire("comgmt-bridge", desiredOfBridge()),
    graph.post("/managedDevices", {
      id: DEMO.deviceId,
      deviceName: "Alice's laptop",
      userPrincipalName: DEMO.userPrincipalName,
      groups: [DEMO.group],
      complianceState: "compliant",
    }),
  ]);
}

export function writeConfiguration(layout: Layout, service: SuiteService, content: unknown): void {
  write(layout.of(service).configFile, toJson(content), SECRET_MODE);
}

export function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

export function write(file: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, text, { mode });
}

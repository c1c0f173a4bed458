/**
 * Runs inside a container on the internal network: the administrator, who configures the connectors, and the device, which
 * enrols and fetches a page. Takes its part as JSON in the first argument, prints what it got as JSON.
 */
import { until } from "@isthmus/shared/testing/until";
import {
  enrol,
  findScepServer,
  identityToPem,
  newDeviceKey,
} from "@isthmus/suite/device/scep-device";
import { fetchThrough, openTunnel } from "@isthmus/suite/device/tunnel-client";
import { GraphClient } from "@isthmus/suite/process/graph-client";

const WITHIN_MS = 60_000;
const DEVICE_ID = "container-laptop";
const GROUP = "employees";

/** Who is where. */
export interface Part {
  readonly controlPlane: { readonly host: string; readonly authority: string };
  readonly password: string;
  readonly certConnector: { readonly host: string; readonly id: string };
  readonly gateway: { readonly host: string; readonly id: string; readonly authority: string };
  readonly site: { readonly host: string; readonly port: number };
}

/** What the device got. */
export interface Outcome {
  readonly serialNumber: string;
  readonly page: string;
  readonly refusal: { readonly status: number; readonly proxyStatus: string };
}

const [part = "{}"] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await play(JSON.parse(part)))}\n`);

async function play(of: Part): Promise<Outcome> {
  const graph = await GraphClient.signIn({
    url: new URL(`https://${of.controlPlane.host}:8080`),
    authority: of.controlPlane.authority,
    userName: "admin",
    password: of.password,
  });
  await configure(graph, of);
  const { challenge } = await graph.post<{ challenge: string }>("/scepChallenges", {
    profileId: "device",
    deviceId: DEVICE_ID,
    subject: `CN=${DEVICE_ID}`,
  });
  const server = await findScepServer(`http://${of.certConnector.host}:8081/scep/device`);
  const privateKey = await newDeviceKey();
  const identity = await enrol(server, { subject: `CN=${DEVICE_ID}`, challenge, privateKey });
  const device = {
    gateway: { host: of.gateway.host, port: 8443 },
    gatewayAuthority: of.gateway.authority,
    ...identityToPem(identity),
  };
  const opened = await openTunnel(device, `${of.site.host}:${of.site.port}`);
  if (opened.kind === "refused") throw new Error(`refused: ${JSON.stringify(opened)}`);
  const page = await fetchThrough(opened.socket, of.site.host, "/");
  const refused = await openTunnel(device, `${of.controlPlane.host}:8080`);
  if (refused.kind === "open") throw new Error("the control plane is reachable by devices");
  const { status, proxyStatus } = refused;
  return {
    serialNumber: identity.certificate.serialNumber,
    page: page.body,
    refusal: { status, proxyStatus },
  };
}

async function configure(graph: GraphClient, of: Part): Promise<void> {
  await graph.put(`/connectors/${of.certConnector.id}/desiredConfiguration`, {
    configuration: { profiles: [{ id: "device", challenge: { kind: "signed" } }] },
  });
  const rule = { name: of.site.host, ports: [of.site.port] };
  const rules = [{ name: "site", action: "allow", destinations: [rule] }];
  await graph.put(`/connectors/${of.gateway.id}/desiredConfiguration`, {
    configuration: { policies: [{ name: "employees", groups: [GROUP], rules }] },
  });
  const device = { id: DEVICE_ID, groups: [GROUP], complianceState: "compliant" };
  await graph.post("/managedDevices", device);
  await until(() => isInForce(graph), "configurations and devices at the connectors", WITHIN_MS);
}

async function isInForce(graph: GraphClient): Promise<boolean> {
  const connectors = await graph.list<{
    configurationVersion: number;
    configurationVersionApplied: number;
  }>("/connectors");
  const commands = await graph.list<{ state: string }>("/commands");
  return (
    connectors.every((each) => each.configurationVersion === each.configurationVersionApplied) &&
    commands.length > 0 &&
    commands.every(({ state }) => state === "succeeded")
  );
}

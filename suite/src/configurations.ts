import { basename, relative } from "node:path";
import type { DeviceState, Service } from "@isthmus/shared/link/messages";
import type { Layout } from "./layout.ts";
import type { Ports } from "./ports.ts";
import { DEMO_SCRIPT_SHA256, DEMO_SITE } from "./process/configuration-manager.ts";

/** What the demonstration is about: one device, one open site, one closed one, one certificate profile. */
export const DEMO = {
  deviceId: "demo-laptop",
  userPrincipalName: "alice@example.com",
  group: "employees",
  profileId: "device",
  openHost: "intranet.isthmus.test",
  closedHost: "payroll.isthmus.test",
  /** As it appears in a refusal. */
  closedRule: "employees/payroll-is-closed",
} as const;

/** Everything that differs between the suite of `npm start`, the tour's and a test's. */
export interface SuiteSettings {
  readonly layout: Layout;
  readonly ports: Ports;
  /** Hex key identifier of the issuing authority, known once `ca init` has run. */
  readonly issuerKeyId: string;
}

type Json = Readonly<Record<string, unknown>>;
/** A certificate profile as the cert-connector's desired configuration has it. */
export type Profile = Json & { readonly id: string };

/** Health listeners have no port of their own: run.json in the state folder says where they are. */
const HEALTH = { address: "127.0.0.1", port: 0 };

/** Local configuration of the control plane. */
export function controlPlaneConfiguration(ports: Ports): Json {
  return {
    stateFolder: "state",
    listen: { address: "127.0.0.1", port: ports.controlPlane },
    publicUrl: controlPlaneUrl(ports),
    tls: { names: ["localhost", "127.0.0.1"] },
    health: HEALTH,
  };
}

export function controlPlaneUrl(ports: Ports): string {
  return `https://localhost:${ports.controlPlane}`;
}

/** Local configuration of a connector, without the keys of its service. */
function connectorConfiguration(isStandalone: boolean): Json {
  return {
    stateFolder: "state",
    guardrailsFile: "guardrails.json",
    health: HEALTH,
    ...(isStandalone && { standalone: { desiredConfigurationFile: "desired.json" } }),
  };
}

export function certConnectorConfiguration(
  layout: Layout,
  ports: Ports,
  isStandalone = false,
): Json {
  return {
    ...connectorConfiguration(isStandalone),
    listen: { address: "127.0.0.1", port: ports.scep },
    ca: { folder: "ca", passphraseFile: basename(layout.ca.passphraseFile) },
  };
}

export function tunnelGatewayConfiguration(of: SuiteSettings, isStandalone = false): Json {
  const { layout, ports } = of;
  const { folder } = layout.of("tunnel-gateway");
  const file = (path: string) => relative(folder, path);
  return {
    ...connectorConfiguration(isStandalone),
    listen: { address: "127.0.0.1", port: ports.tunnel },
    tls: { certificateFile: file(layout.tls.certificate), keyFile: file(layout.tls.key) },
    trustAnchors: {
      devices: {
        file: file(layout.tls.deviceAuthorities),
        mayAssert: ["deviceId", "userPrincipalName"],
        crl: { url: revocationListUrl(ports, of.issuerKeyId) },
        ocsp: { url: `${scepUrl(ports)}/ocsp/${of.issuerKeyId}` },
      },
    },
    // The internal site of the demonstration is on this machine; without this line nothing on loopback is reachable.
    allowedInternal: [{ cidr: "127.0.0.1/32", ports: [ports.site] }],
    resolver: { hosts: { [DEMO.openHost]: "127.0.0.1", [DEMO.closedHost]: "127.0.0.1" } },
  };
}

export function comgmtBridgeConfiguration(layout: Layout, ports: Ports): Json {
  const { authority, tokenFile } = layout.configurationManager;
  return {
    ...connectorConfiguration(false),
    site: {
      url: `https://localhost:${ports.configurationManager}`,
      siteCode: DEMO_SITE.siteCode,
      tokenFile: basename(tokenFile),
      caFile: basename(authority),
    },
  };
}

/** Where the revocation list of the devices' certificates is. */
export function revocationListUrl(ports: Ports, issuerKeyId: string): string {
  return `${scepUrl(ports)}/crl/${issuerKeyId}.crl`;
}

function scepUrl(ports: Ports): string {
  return `http://127.0.0.1:${ports.scep}`;
}

/** What may run at most on each connector, whoever asks. */
export function guardrailsOf(service: Service, ports: Ports): Json {
  const reads = ["health.report"];
  switch (service) {
    case "cert-connector":
      return {
        commands: {
          allow: [...reads, "certificate.revoke", "certificate.trace"],
          limits: { "certificate-revocations": { max: 100, perMinutes: 60 } },
        },
        [service]: { profiles: [`${DEMO.profileId}.*`], maxValidityDays: 398 },
      };
    case "tunnel-gateway":
      return {
        commands: { allow: [...reads, "devices.update", "revocation.refresh"] },
        [service]: {
          destinations: [
            { name: DEMO.openHost, ports: [ports.site] },
            { name: DEMO.closedHost, ports: [ports.site] },
          ],
        },
      };
    case "comgmt-bridge":
      return {
        commands: {
          allow: [
            ...reads,
            ...["site.notify", "site.script", "site.query", "site.refresh", "site.cancel"],
          ],
        },
        [service]: bridgeGuardrails(),
      };
  }
}

/** One script by its very text, queries about four entities, and notifications that disturb nobody. */
function bridgeGuardrails(): Json {
  const { siteCode, collectionId, script } = DEMO_SITE;
  return {
    queries: { entities: ["Device", "OperatingSystem", "LogicalDisk", "Service"] },
    actions: {
      targets: { [siteCode]: { collections: [collectionId] } },
      notifications: ["refreshMachinePolicy", "refreshUserPolicy", "hardwareInventory"],
      scripts: [{ scriptGuid: script.guid, version: "1", sha256: DEMO_SCRIPT_SHA256 }],
      allowQueries: true,
    },
  };
}

/** The desired configuration that the administrator gives the bridge: the site, looked at more often than in earnest. */
export function desiredOfBridge(): Json {
  return { sites: [{ source: DEMO_SITE.siteCode, hotSeconds: 2, truthMinutes: 5 }] };
}

/** The desired configuration that the administrator gives the cert-connector. */
export function desiredOfCertConnector(
  ports: Ports,
  furtherProfiles: readonly Profile[] = [],
): Json {
  return {
    profiles: [
      ...furtherProfiles,
      {
        id: DEMO.profileId,
        challenge: { kind: "signed" },
        validityDays: 365,
        // The demonstration renews right after it has enrolled; in earnest 20 is the habit.
        renewalWindowPercent: 100,
      },
    ],
    publicUrls: {
      crl: `${scepUrl(ports)}/crl`,
      ocsp: `${scepUrl(ports)}/ocsp`,
      ca: `${scepUrl(ports)}/ca`,
    },
  };
}

/** The desired configuration that the administrator gives the gateway; with `devices` it needs no cloud for them. */
export function desiredOfTunnelGateway(ports: Ports, devices?: readonly DeviceState[]): Json {
  return {
    policies: [
      {
        name: "employees",
        groups: [DEMO.group],
        rules: [
          {
            name: "payroll-is-closed",
            action: "deny",
            destinations: [{ name: DEMO.closedHost, ports: ["1-65535"] }],
          },
          {
            name: "intranet",
            action: "allow",
            destinations: [{ name: DEMO.openHost, ports: [ports.site] }],
          },
        ],
      },
    ],
    devices: devices === undefined ? { source: "cloud" } : { source: "list", list: devices },
  };
}

import type { Service } from "@isthmus/shared/link/messages";
import {
  certConnectorConfiguration,
  DEMO,
  desiredOfCertConnector,
  desiredOfTunnelGateway,
  guardrailsOf,
  type Profile,
  tunnelGatewayConfiguration,
} from "./configurations.ts";
import { allSettled } from "./process/all-settled.ts";
import { runCommand } from "./process/child-service.ts";
import {
  makeAuthority,
  toJson,
  write,
  writeConfiguration,
  writeGatewayCertificate,
} from "./set-up.ts";
import { entryOf, type Suite } from "./suite.ts";

/**
 * The cert-connector and the gateway without any control plane: the same desired configurations stand in local files, the
 * gateway's list of devices among them. Returns the issuing authority's key identifier, hex.
 */
export async function setUpStandalone(
  suite: Suite,
  furtherProfiles: readonly Profile[] = [],
): Promise<string> {
  const { layout, ports } = suite;
  const devices = [
    {
      deviceId: DEMO.deviceId,
      userPrincipalName: DEMO.userPrincipalName,
      groups: [DEMO.group],
      compliance: "compliant" as const,
      removed: false,
    },
  ];
  writeDesired(suite, "cert-connector", desiredOfCertConnector(ports, furtherProfiles));
  writeDesired(suite, "tunnel-gateway", desiredOfTunnelGateway(ports, devices));
  const passphrase = "only for this demonstration, without a control plane\n";
  write(layout.ca.passphraseFile, passphrase, 0o600);
  writeConfiguration(layout, "cert-connector", certConnectorConfiguration(layout, ports, true));
  const [issuerKeyId] = await allSettled([makeAuthority(layout), writeGatewayCertificate(layout)]);
  const gateway = tunnelGatewayConfiguration({ layout, ports, issuerKeyId }, true);
  writeConfiguration(layout, "tunnel-gateway", gateway);
  // In this order, so that the gateway finds the revocation list at its first look.
  await suite.launch("cert-connector");
  await suite.launch("tunnel-gateway");
  return issuerKeyId;
}

/** A one-time permission: for which profile, device and subject (RFC 4514). */
export interface Permission {
  readonly profileId: string;
  readonly deviceId: string;
  readonly subject: string;
}

const DEMO_PERMISSION: Permission = {
  profileId: DEMO.profileId,
  deviceId: DEMO.deviceId,
  subject: `CN=${DEMO.deviceId}`,
};

/** A challenge made on the connector's own machine. */
export async function challengeStandalone(
  suite: Suite,
  permission: Permission = DEMO_PERMISSION,
): Promise<string> {
  const { configFile } = suite.layout.of("cert-connector");
  const printed = await runCommand(entryOf("cert-connector"), [
    ...["challenge", "--config", configFile, "--json"],
    ...["--profile", permission.profileId, "--device", permission.deviceId],
    ...["--subject", permission.subject],
  ]);
  return JSON.parse(printed).challenge;
}

function writeDesired({ layout, ports }: Suite, service: Service, configuration: unknown): void {
  const { folder, guardrailsFile } = layout.of(service);
  write(`${folder}/desired.json`, toJson({ version: 1, configuration }));
  write(guardrailsFile, toJson(guardrailsOf(service, ports)), 0o444);
}

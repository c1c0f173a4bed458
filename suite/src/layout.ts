import { join } from "node:path";
import type { Service } from "@isthmus/shared/link/messages";

export type SuiteService = Service | "control-plane";

/** Where one service keeps its things below the suite's state folder. */
export interface ServiceFolder {
  readonly folder: string;
  readonly configFile: string;
  readonly guardrailsFile: string;
  readonly stateFolder: string;
  readonly logFile: string;
}

/** The suite's state folder, drawn once:
 *
 *     .isthmus/
 *       suite.json                   what a second start needs to know
 *       <service>/config.json        local configuration, guardrails.json, state/
 *       comgmt-bridge/site-*         the token for the simulated Configuration Manager site, and its authority
 *       cert-connector/ca/           the embedded authority; root-key.pem is its offline root key
 *       tls/                         the gateway's own certificate, and who signs devices' certificates
 *       device/                      the demo device's certificate and key
 *       logs/<service>.log
 */
export interface Layout {
  readonly root: string;
  readonly suiteFile: string;
  readonly logs: string;
  readonly tls: {
    readonly authority: string;
    readonly certificate: string;
    readonly key: string;
    /** Root and issuing authority of the devices' certificates. */
    readonly deviceAuthorities: string;
  };
  readonly device: {
    readonly certificate: string;
    readonly key: string;
    readonly gatewayAuthority: string;
  };
  /** What the bridge needs for the simulated Configuration Manager site. */
  readonly configurationManager: {
    readonly authority: string;
    readonly tokenFile: string;
  };
  readonly ca: {
    readonly folder: string;
    readonly passphraseFile: string;
    readonly rootKeyFile: string;
  };
  of(service: SuiteService): ServiceFolder;
}

export function layoutOf(root: string): Layout {
  const tls = join(root, "tls");
  const device = join(root, "device");
  const certConnector = join(root, "cert-connector");
  return {
    root,
    suiteFile: join(root, "suite.json"),
    logs: join(root, "logs"),
    tls: {
      authority: join(tls, "authority.pem"),
      certificate: join(tls, "gateway.pem"),
      key: join(tls, "gateway.key.pem"),
      deviceAuthorities: join(tls, "device-authorities.pem"),
    },
    device: {
      certificate: join(device, "certificate.pem"),
      key: join(device, "key.pem"),
      gatewayAuthority: join(device, "gateway-authority.pem"),
    },
    configurationManager: {
      authority: join(root, "comgmt-bridge", "site-authority.pem"),
      tokenFile: join(root, "comgmt-bridge", "site-token"),
    },
    ca: {
      folder: join(certConnector, "ca"),
      passphraseFile: join(certConnector, "ca-passphrase"),
      rootKeyFile: join(certConnector, "root-key.pem"),
    },
    of: (service) => ({
      folder: join(root, service),
      configFile: join(root, service, "config.json"),
      guardrailsFile: join(root, service, "guardrails.json"),
      stateFolder: join(root, service, "state"),
      logFile: join(root, "logs", `${service}.log`),
    }),
  };
}

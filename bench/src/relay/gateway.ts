import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEVICE_ID, type TlsCertificates } from "../fixtures/tls-certificates.ts";
import { startService } from "../process/service.ts";

/** The tunnel gateway in standalone mode, as far as the load needs to know it. */
export interface MeasuredGateway extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/** One compliant device may reach every port of 127.0.0.1; everything a gateway checks and records stays on. */
const DESIRED_CONFIGURATION = {
  policies: [
    {
      name: "bench",
      groups: ["*"],
      rules: [
        {
          name: "byte-server",
          action: "allow",
          destinations: [{ cidr: "127.0.0.1/32", ports: ["1-65535"] }],
        },
      ],
    },
  ],
  devices: {
    source: "list",
    list: [{ deviceId: DEVICE_ID, groups: [], compliance: "compliant" }],
  },
};

/** Starts it in `folder` with the server's certificate and the CA of the devices. */
export async function startGateway(
  folder: string,
  certificates: TlsCertificates,
): Promise<MeasuredGateway> {
  mkdirSync(folder, { recursive: true });
  const desiredConfigurationFile = join(folder, "desired.json");
  const desired = { version: 1, configuration: DESIRED_CONFIGURATION };
  writeFileSync(desiredConfigurationFile, JSON.stringify(desired));
  const service = await startService({
    name: "tunnel-gateway",
    folder,
    configuration: {
      standalone: { desiredConfigurationFile },
      health: { port: 0 },
      log: { level: "warn" },
      listen: { address: "127.0.0.1", port: 0 },
      tls: certificates.server,
      trustAnchors: {
        bench: { file: certificates.caFile, mayAssert: ["deviceId", "userPrincipalName"] },
      },
      allowedInternal: ["127.0.0.1/32"],
    },
  });
  const url = new URL(String(service.run["tunnelUrl"]));
  return {
    pid: service.pid,
    port: Number(url.port),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

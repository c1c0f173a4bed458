import { DEVICE_ID, type TlsCertificates } from "../fixtures/tls-certificates.ts";
import { type ServiceOptions, startService } from "../process/service.ts";
import { standaloneConfiguration } from "../process/standalone.ts";

/** The tunnel gateway in standalone mode, as far as the load needs to know it. */
export interface MeasuredGateway extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/** More tunnels of the one device than the idle figures open. */
const MAX_TUNNELS = 10_000;

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
  limits: { connections: MAX_TUNNELS, connectionsPerDevice: MAX_TUNNELS },
};

/** A gateway in `folder` with the server's certificate and the CA of the devices. */
export function gatewayOptions(folder: string, certificates: TlsCertificates): ServiceOptions {
  return {
    name: "tunnel-gateway",
    folder,
    configuration: {
      ...standaloneConfiguration(folder, {
        desired: DESIRED_CONFIGURATION,
        guardrails: { commands: { allow: ["health.report"] } },
      }),
      listen: { address: "127.0.0.1", port: 0 },
      tls: certificates.server,
      trustAnchors: {
        bench: { file: certificates.caFile, mayAssert: ["deviceId", "userPrincipalName"] },
      },
      allowedInternal: ["127.0.0.1/32"],
    },
  };
}

export async function startGateway(
  folder: string,
  certificates: TlsCertificates,
): Promise<MeasuredGateway> {
  const service = await startService(gatewayOptions(folder, certificates));
  const url = new URL(String(service.run["tunnelUrl"]));
  return {
    pid: service.pid,
    port: Number(url.port),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

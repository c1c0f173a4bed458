import { createServer } from "node:http";
import { systemClock } from "@isthmus/shared/clock";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { type NamedResult, runCheck } from "@isthmus/shared/kernel/health";
import { listen } from "@isthmus/shared/kernel/health-listener";
import type { HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { makeStateFolder } from "@isthmus/shared/kernel/state-files";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { systemRandom } from "@isthmus/shared/random";
import type { Configuration } from "../config/configuration.ts";
import { SignerClient } from "../signer/signer-client.ts";
import { openControlPlaneStore } from "./open-store.ts";
import { tlsIdentity } from "./tls-identity.ts";

const WARN_BEFORE_MS = 14 * 86_400_000;

/** Tests what a start needs: state folder and store, certificate, port, signer. A running control plane has its port. */
export async function checkAll(configuration: Configuration): Promise<readonly NamedResult[]> {
  const folder = stateFolderAt(configuration.stateFolder);
  const isRunning = (await askRunningService(folder.controlSocket, "status")) !== undefined;
  const results: NamedResult[] = [];
  // One after the other: the store makes the folder that the certificate is kept in.
  for (const check of checksOf(configuration, isRunning)) results.push(await runCheck(check));
  return results;
}

function checksOf(configuration: Configuration, isRunning: boolean): HealthCheck[] {
  const { stateFolder, listen: at, signer } = configuration;
  return [
    {
      name: "store",
      async run() {
        makeStateFolder(stateFolder);
        await using _store = await openControlPlaneStore(
          stateFolderAt(stateFolder).storeFile,
          isRunning,
        );
        return { status: "healthy", reason: "the store opens" };
      },
    },
    { name: "tls-certificate", run: () => checkCertificate(configuration) },
    {
      name: "listen",
      async run() {
        const where = `${at.address} port ${at.port}`;
        if (isRunning) return { status: "healthy", reason: `the control plane runs on ${where}` };
        const server = createServer();
        await listen(server, at);
        server.close();
        return { status: "healthy", reason: `${where} is free` };
      },
    },
    ...(signer === undefined ? [] : [signerCheck(signer.socket)]),
  ];
}

async function checkCertificate({ tls, stateFolder }: Configuration) {
  const { notAfter } = await tlsIdentity({
    tls,
    stateFolder,
    clock: systemClock,
    random: systemRandom,
  });
  const leftMs = notAfter - systemClock.now();
  const reason = `the certificate ends ${new Date(notAfter).toISOString()}`;
  if (leftMs > WARN_BEFORE_MS) return { status: "healthy", reason } as const;
  const status = leftMs > 0 ? "warning" : "unhealthy";
  return { status, reason, remedy: "renew tls.certificateFile and tls.keyFile" } as const;
}

function signerCheck(socket: string): HealthCheck {
  return {
    name: "signer",
    async run() {
      using client = new SignerClient(socket);
      await client.tenantKey();
      return { status: "healthy", reason: `the signer at ${socket} answers` };
    },
  };
}

import { createServer } from "node:https";
import { isIPv6 } from "node:net";
import type { Clock } from "@isthmus/shared/clock";
import { serveControlSocket } from "@isthmus/shared/kernel/control-socket";
import { HealthBoard } from "@isthmus/shared/kernel/health";
import { listen, startHealthListener } from "@isthmus/shared/kernel/health-listener";
import type { Lifetime } from "@isthmus/shared/kernel/lifetime";
import { removeStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import { holdStateFolder, stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import type { Random } from "@isthmus/shared/random";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import type { Configuration } from "../config/configuration.ts";
import { HandshakeGate } from "../connector/handshake-gate.ts";
import type { Passwords } from "../core/password.ts";
import { SignerClient } from "../signer/signer-client.ts";
import { StoreRecords } from "../store/records.ts";
import { administrationHandlers } from "./administration.ts";
import { enrolmentTokenText } from "./enrolment-token-text.ts";
import { ensureFirstAdministrator } from "./first-administrator.ts";
import { registerChecks } from "./health-checks.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { inventoryQuotas } from "./inventory-quotas.ts";
import { openControlPlaneStore } from "./open-store.ts";
import { countRequests } from "./request-metrics.ts";
import { rotateTenantKey } from "./rotate-tenant-key.ts";
import { ServerIdentity } from "./server-identity.ts";
import { attachServices, closeServer, SERVER_LIMITS } from "./services.ts";
import { SignerChild } from "./signer-child.ts";
import { signerFolder, signerSocket } from "./signer-paths.ts";
import { TenantKeys } from "./tenant-keys.ts";

export interface ControlPlaneSettings {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly passwords: Passwords;
}

/** Where a running control plane is. */
export interface RunningControlPlane {
  /** `https://address:port` that it listens on. */
  readonly url: string;
  readonly publicUrl: string;
  readonly healthUrl: string;
}

/** Brings everything up; what it opened is on the lifetime's stack and goes down in the reverse order. */
export async function startControlPlane(
  settings: ControlPlaneSettings,
  lifetime: Pick<Lifetime, "resources" | "fail">,
): Promise<RunningControlPlane> {
  const { configuration, clock, random, log, passwords } = settings;
  const { resources } = lifetime;
  const folder = stateFolderAt(configuration.stateFolder);
  resources.use(holdStateFolder(folder));
  const store = resources.use(await openControlPlaneStore(folder.storeFile));
  void store.failed.then(lifetime.fail);
  const records = new StoreRecords(store, clock);
  const signer = startSigner(settings, resources);
  await ensureFirstAdministrator({ records, passwords, random, clock, log, folder: folder.path });
  const tenantKeys = await TenantKeys.open(folder.path, signer);
  await store.run("endAllSessions");
  await store.run("setInventoryQuota", {
    now: clock.now(),
    quotas: inventoryQuotas(configuration.inventory.quota),
  });

  const identity = resources.use(await ServerIdentity.open(settings));
  const server = createServer({ ...identity.contextOptions, ...SERVER_LIMITS });
  identity.serve(server);
  const handshakes = resources.use(new HandshakeGate());
  handshakes.guard(server);
  const { address, port } = await listen(server, configuration.listen);
  resources.defer(() => closeServer(server));
  const publicUrl = configuration.publicUrl ?? `https://localhost:${port}`;
  const tokenText = (secret: string) =>
    enrolmentTokenText({ secret, publicUrl, caPem: identity.caPem, tenantKey: tenantKeys.current });
  // Nothing is awaited between listening and attaching, so that no request comes too early.
  const parts = { ...settings, store, records, signer, identity, publicUrl, tokenText };
  const link = attachServices(server, parts, resources);
  resources.use(
    startHousekeeping({ store, signer, clock, log, retention: configuration.inventory }),
  );

  const board = new HealthBoard(clock);
  registerChecks(board, { signer, identity, clock, store, link });
  const metrics = new Registry();
  board.publishTo(metrics);
  countRequests(server, metrics);
  const health = resources.use(
    await startHealthListener({ ...configuration.health, board, metrics, isStarted: () => true }),
  );
  const url = `https://${isIPv6(address) ? `[${address}]` : address}:${port}`;
  const where = { pid: process.pid, healthUrl: health.url, url, publicUrl };
  const status = async () => ({
    ...where,
    figures: board.figures(),
    checks: await board.results(true),
  });
  const handlers = administrationHandlers({
    ...parts,
    tenantKeys: () => tenantKeys.all,
    status,
    rotateTenantKey: (act) => rotateTenantKey({ signer, records, link, tenantKeys }, act),
  });
  resources.use(await serveControlSocket(folder.controlSocket, handlers, log));
  resources.defer(() => removeStateFile(folder.runFile));
  writeFileAtomically(folder.runFile, JSON.stringify(where));
  log.info(where, "control-plane.ready");
  return where;
}

/** The client of the configured signer, or of one that is started here and kept running. */
function startSigner(
  { configuration, log }: ControlPlaneSettings,
  resources: AsyncDisposableStack,
): SignerClient {
  const socket = signerSocket(configuration);
  if (configuration.signer === undefined) {
    const stateFolder = signerFolder(configuration.stateFolder);
    resources.use(new SignerChild({ stateFolder, socket, log }));
  }
  return resources.use(new SignerClient(socket));
}

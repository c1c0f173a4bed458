import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { GraphClient } from "@isthmus/suite/process/graph-client";
import { controlPlaneOptions } from "../process/control-plane.ts";
import { type RunningService, startService } from "../process/service.ts";
import type { FleetTarget } from "./fleet-connector.ts";

/** A control plane node that is up. */
export interface MeasuredControlPlane {
  readonly service: RunningService;
  readonly url: URL;
  /** PEM of its own CA. */
  readonly ca: string;
  readonly databaseFile: string;
}

/** Starts a node in `folder`; a second time on the state that the first left. */
export async function startControlPlane(
  folder: string,
  port: number,
): Promise<MeasuredControlPlane> {
  const service = await startService(controlPlaneOptions(folder, port));
  return {
    service,
    url: new URL(String(service.run["url"])),
    ca: readFileSync(join(folder, "state", "ca.pem"), "utf8"),
    databaseFile: join(folder, "state", "store.db"),
  };
}

/** Where connectors connect to. */
export function fleetTarget({ url, ca }: MeasuredControlPlane): FleetTarget {
  return { url: `wss://localhost:${url.port}/link`, ca };
}

/** Signs in as the administrator that the first start made. */
export function signIn(folder: string, { url, ca }: MeasuredControlPlane): Promise<GraphClient> {
  const password = readFileSync(join(folder, "state", "initial-admin-password"), "utf8").trim();
  return GraphClient.signIn({ url, authority: ca, userName: "admin", password });
}

/** Puts connectors into the store of a node that is not running, as if each had enrolled. */
export function insertConnectors(
  databaseFile: string,
  identities: readonly { readonly connectorId: string; readonly publicKeyX: string }[],
): void {
  using database = new DatabaseSync(databaseFile);
  const insert = database.prepare(
    "INSERT INTO connector (id, service, display_name, public_key_x, created_at) VALUES (?, 'comgmt-bridge', ?, ?, ?)",
  );
  database.exec("BEGIN IMMEDIATE");
  for (const [index, { connectorId, publicKeyX }] of identities.entries()) {
    insert.run(connectorId, `fleet-${index}`, publicKeyX, Date.now());
  }
  database.exec("COMMIT");
}

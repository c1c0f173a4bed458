import { readFileSync } from "node:fs";
import { ConnectorError } from "../errors.ts";
import type { HttpProxy } from "../link/http-proxy.ts";
import type { Service } from "../link/messages.ts";
import type { CommonConfiguration } from "./common-configuration.ts";
import { type Identity, loadIdentity } from "./identity.ts";
import { readSecretFile } from "./secret-file.ts";
import type { StateFolder } from "./state-folder.ts";

/** Where a connector's desired configuration comes from: a control plane it is enrolled at, or a local file. */
export type ConnectorSource =
  | { readonly kind: "cloud"; readonly identity: Identity }
  | { readonly kind: "standalone"; readonly file: string };

/**
 * Decides between the two.
 *
 * @throws ConnectorError `not-enrolled` for neither, `standalone-and-enrolled` for both.
 */
export function connectorSource(
  service: Service,
  folder: StateFolder,
  local: CommonConfiguration,
): ConnectorSource {
  const identity = loadIdentity(folder, service);
  if (local.standalone === undefined) {
    if (identity !== undefined) return { kind: "cloud", identity };
    throw new ConnectorError(
      "not-enrolled",
      `${service} is not enrolled: run \`${service} enrol\` with a token, or configure standalone`,
    );
  }
  if (identity === undefined) {
    return { kind: "standalone", file: local.standalone.desiredConfigurationFile };
  }
  throw new ConnectorError(
    "standalone-and-enrolled",
    `${folder.path} is enrolled as ${identity.connectorId} and standalone is configured: use another state folder for one of the two`,
  );
}

/** How to get to the control plane, from the local file: CA and proxy. @throws ConnectorError `secret-unreadable` */
export function cloudAccess(
  cloud: CommonConfiguration["cloud"],
  enrolledCa: string | undefined,
): { readonly ca: string | undefined; readonly proxy: HttpProxy | undefined } {
  const ca = cloud.caFile === undefined ? enrolledCa : readFileSync(cloud.caFile, "utf8");
  if (cloud.proxy === undefined) return { ca, proxy: undefined };
  const { url, credentialsFile } = cloud.proxy;
  if (credentialsFile === undefined) return { ca, proxy: { url } };
  return { ca, proxy: { url, credentials: readCredentials(credentialsFile) } };
}

/** `user:password`, as in RFC 7617: the user has no colon. */
function readCredentials(file: string): { readonly user: string; readonly password: string } {
  const [user = "", ...rest] = readSecretFile(file).split(":");
  if (user !== "" && rest.length > 0) return { user, password: rest.join(":") };
  throw new ConnectorError("secret-unreadable", `secret file ${file} is not user:password`);
}

import { thumbprintOf } from "@isthmus/shared/link/jws";
import type { LinkEndpoint } from "../connector/link-endpoint.ts";
import type { Act } from "../core/admin-records.ts";
import type { Records } from "../core/ports.ts";
import type { SignerClient } from "../signer/signer-client.ts";
import type { TenantKeys } from "./tenant-keys.ts";

/**
 * Puts the next tenant key in force. Its statement is stored and on its way to the connectors before anything is signed by
 * it; a crash in between is mended by asking again. A connector that is away gets the statement first when it returns.
 */
export async function rotateTenantKey(
  of: {
    readonly signer: SignerClient;
    readonly records: Records;
    readonly link: LinkEndpoint;
    readonly tenantKeys: TenantKeys;
  },
  act: Act,
): Promise<{ readonly thumbprint: string }> {
  const { jws, tenantKey } = await of.signer.prepareRotation();
  const thumbprint = thumbprintOf(tenantKey);
  await of.records.run("recordTrust", { ...act, jws, thumbprint });
  of.link.wakeAll();
  await of.signer.completeRotation(tenantKey);
  await of.tenantKeys.current();
  return { thumbprint };
}

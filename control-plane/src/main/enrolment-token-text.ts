import { formatEnrolmentToken } from "@isthmus/shared/link/enrolment-token";
import { thumbprintOf } from "@isthmus/shared/link/jws";
import type { TenantKey } from "../core/ports.ts";
import { caSha256 } from "./tls-identity.ts";

/** The text an administrator hands to a connector: where to enrol, the one-time secret, and whom to trust. */
export async function enrolmentTokenText(of: {
  readonly secret: string;
  readonly publicUrl: string;
  readonly caPem: string | undefined;
  readonly tenantKey: () => Promise<TenantKey>;
}): Promise<string> {
  return formatEnrolmentToken({
    url: of.publicUrl,
    secret: of.secret,
    tenantKey: thumbprintOf(await of.tenantKey()),
    ...(of.caPem === undefined ? {} : { caSha256: caSha256(of.caPem) }),
  });
}

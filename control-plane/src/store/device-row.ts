import type { DeviceState } from "@isthmus/shared/link/messages";
import type { Row } from "@isthmus/shared/store/transaction";
import type { Compliance } from "../core/admin-records.ts";

/** A row of `managed_device` as gateways are told of it. */
export function stateOf(row: Row): DeviceState {
  const userPrincipalName = row["user_principal_name"];
  const reason = row["compliance_reason"];
  return {
    deviceId: String(row["id"]),
    ...(typeof userPrincipalName === "string" ? { userPrincipalName } : {}),
    groups: JSON.parse(String(row["groups"])),
    compliance: String(row["compliance"]) as Compliance,
    ...(typeof reason === "string" ? { reason } : {}),
    removed: row["removed_at"] !== null,
  };
}

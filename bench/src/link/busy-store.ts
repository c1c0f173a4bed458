import { laneMigrations, laneOperations } from "@isthmus/shared/link/lane-operations";
import type { IssuanceEvent } from "@isthmus/shared/link/messages";
import { appendToStream } from "@isthmus/shared/link/stream-operations";
import type { Operations, Transaction } from "@isthmus/shared/store/transaction";

/** The store of the busy connector: the link's lanes, and entries as a cert-connector makes them. */

const YEAR_MS = 365 * 86_400_000;
const ISSUANCE_STREAM = "issuance";

/** Appends `count` issued certificates, numbered from `first`. */
function appendIssued(
  transaction: Transaction,
  { first, count, at }: { readonly first: number; readonly count: number; readonly at: number },
): void {
  for (let number = first; number < first + count; number++) {
    appendToStream(transaction, { stream: ISSUANCE_STREAM, at, entry: issued(number, at) });
  }
}

function issued(number: number, at: number): IssuanceEvent {
  const hex = number.toString(16).padStart(16, "0");
  return {
    event: "issued",
    at,
    transactionId: hex.repeat(4),
    profileId: "device",
    deviceId: `device-${number}`,
    userPrincipalName: `user-${number}@example.com`,
    subject: `CN=device-${number},OU=Devices,O=Example`,
    serialNumber: `40${hex}${hex}`,
    issuer: "CN=Bench Issuing CA",
    notBefore: at,
    notAfter: at + YEAR_MS,
    thumbprint: hex.repeat(4),
  };
}

/** @public The store's worker reads it by the module's address. */
export const migrations = laneMigrations;
/** @public The store's worker reads it by the module's address. */
export const operations = { ...laneOperations, appendIssued } satisfies Operations;

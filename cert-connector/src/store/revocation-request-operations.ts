import { RefusalError } from "@isthmus/shared/errors";
import { consumeLimit } from "@isthmus/shared/kernel/limit-operations";
import type { Migration, Row, Transaction } from "@isthmus/shared/store/transaction";
import { firstValue } from "@isthmus/shared/x509/name";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type {
  FinishedRevocation,
  RequestedRevocation,
  RevocationErrorCode,
  RevokedOnRequest,
} from "../core/requested-revocations.ts";
import { grantOf } from "./enrolment-row.ts";
import { revokeRow } from "./issuance-operations.ts";

/** Our own limits: what is revoked and what is reported in one transaction. */
const MAX_AT_ONCE = 500;
const MAX_SAME_SERIAL = 100;
const SERIAL_NUMBER = /^[0-9a-f]{1,64}$/;

export const revocationRequestMigrations: readonly Migration[] = [
  {
    id: "revocation-request-1",
    sql: `
      CREATE TABLE revocation_request (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        request_context TEXT NOT NULL,
        serial_number TEXT NOT NULL,
        issuer_name TEXT,
        state TEXT NOT NULL CHECK (state IN ('requested', 'revoked', 'done')),
        enrolment_id INTEGER,
        error_code TEXT,
        error_message TEXT,
        requested_at INTEGER NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX revocation_request_by_context
        ON revocation_request (tenant, request_context);
      CREATE INDEX revocation_request_by_state ON revocation_request (tenant, state, id);
    `,
  },
];

export function keepRevocationRequests(
  tx: Transaction,
  of: { tenant: string; requests: readonly RequestedRevocation[]; at: number },
): void {
  for (const { requestContext, serialNumber, issuerName } of of.requests) {
    tx.run(
      `INSERT INTO revocation_request (tenant, request_context, serial_number, issuer_name, state, requested_at)
       VALUES (?, ?, ?, ?, 'requested', ?) ON CONFLICT (tenant, request_context) DO NOTHING`,
      of.tenant,
      requestContext,
      serialNumber,
      issuerName ?? null,
      of.at,
    );
  }
}

/** Revokes in the order of the requests until the window is full. */
export function revokeRequested(
  tx: Transaction,
  of: {
    tenant: string;
    at: number;
    window: { max: number; windowMs: number };
  },
): { revoked: RevokedOnRequest[]; heldBack: number } {
  const requested = tx.all(
    "SELECT * FROM revocation_request WHERE tenant = ? AND state = 'requested' ORDER BY id LIMIT ?",
    of.tenant,
    MAX_AT_ONCE,
  );
  const held = requested.findIndex((request) => !isSettled(tx, request, of));
  return {
    revoked: revokedOnRequest(tx, of.tenant),
    heldBack: held === -1 ? 0 : requested.length - held,
  };
}

/** False where the guardrails' window is full: the request stays as it is. */
function isSettled(
  tx: Transaction,
  request: Row,
  { tenant, at, window }: { tenant: string; at: number; window: { max: number; windowMs: number } },
): boolean {
  const found = certificateOf(tx, request);
  if ("errorCode" in found) {
    finish(tx, request, found.errorCode, found.errorMessage);
    return true;
  }
  const { certificate } = found;
  if (certificate["revoked_at"] !== null) {
    finish(tx, request, "ConflictError", "The certificate was revoked before");
    return true;
  }
  try {
    consumeLimit(tx, { kind: "certificate-revocations", count: 1, ...window, now: at });
  } catch (error) {
    if (error instanceof RefusalError) return false;
    throw error;
  }
  revokeRow(tx, certificate, { reason: "unspecified", actor: `intune:${tenant}`, at });
  tx.run(
    "UPDATE revocation_request SET state = 'revoked', enrolment_id = ? WHERE id = ?",
    certificate["id"] as number,
    request["id"] as number,
  );
  return true;
}

type Found =
  | { readonly certificate: Row }
  | { readonly errorCode: RevocationErrorCode; readonly errorMessage: string };

/**
 * By serial number, and by issuer where one is named, as the success notification called it. Of what this tenant has
 * validated alone: others' certificates are none of its business, and their numbers are no secret.
 */
function certificateOf(tx: Transaction, request: Row): Found {
  const serialNumber = normalised(request["serial_number"] as string);
  if (!SERIAL_NUMBER.test(serialNumber)) {
    return {
      errorCode: "ParameterDataInvalidError",
      errorMessage: "The serial number is not hexadecimal",
    };
  }
  const issuerName = request["issuer_name"] as string | null;
  const [certificate, ...others] = tx
    .all(
      "SELECT * FROM enrolment WHERE serial_number = ? AND state = 'issued' LIMIT ?",
      serialNumber,
      MAX_SAME_SERIAL,
    )
    .filter((row) => isOfTenant(row, request["tenant"] as string))
    .filter((row) => issuerName === null || issuerName === "" || isIssuer(row, issuerName));
  if (certificate === undefined) {
    return {
      errorCode: "CertificateNotFoundError",
      errorMessage: "This connector has issued no such certificate",
    };
  }
  if (others.length === 0) return { certificate };
  return {
    errorCode: "ParameterDataInvalidError",
    errorMessage: "Several issuers have used this serial number, and none is named",
  };
}

function isOfTenant(row: Row, tenant: string): boolean {
  const { notify } = grantOf(row);
  return notify?.kind === "intune" && notify.name === tenant;
}

/** Lower-case hex in whole octets, without zeros that only pad. */
function normalised(text: string): string {
  const digits = text
    .replace(/[\s:-]/g, "")
    .toLowerCase()
    .replace(/^0+(?=.)/, "");
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}

function isIssuer(row: Row, name: string): boolean {
  const issuer = row["issuer"] as string;
  if (issuer === name || row["authority"] === name) return true;
  return firstValue(parseNameText(issuer), OID.commonName) === name;
}

function finish(
  tx: Transaction,
  request: Row,
  code: RevocationErrorCode,
  message: string | null,
): void {
  tx.run(
    "UPDATE revocation_request SET state = 'done', error_code = ?, error_message = ? WHERE id = ?",
    code,
    message,
    request["id"] as number,
  );
}

function revokedOnRequest(tx: Transaction, tenant: string): RevokedOnRequest[] {
  const rows = tx.all(
    `SELECT revocation_request.id AS request_id, enrolment.authority, enrolment.serial_number, enrolment.certificate
     FROM revocation_request JOIN enrolment ON enrolment.id = revocation_request.enrolment_id
     WHERE revocation_request.tenant = ? AND revocation_request.state = 'revoked'
     ORDER BY revocation_request.id LIMIT ?`,
    tenant,
    MAX_AT_ONCE,
  );
  return rows.map((row) => ({
    id: row["request_id"] as number,
    authority: row["authority"] as string,
    serialNumber: row["serial_number"] as string,
    certificate: row["certificate"] as Uint8Array,
  }));
}

/** Their authorities know, or never will unless a person tells them. */
export function confirmRevocations(
  tx: Transaction,
  { revoked, byHand }: { revoked: readonly number[]; byHand: readonly number[] },
): void {
  for (const id of revoked) confirm(tx, id, "None", null);
  for (const id of byHand) {
    const message = "Revoked here; its certification authority has to be told by hand";
    confirm(tx, id, "NotSupportedError", message);
  }
}

function confirm(
  tx: Transaction,
  id: number,
  code: RevocationErrorCode,
  message: string | null,
): void {
  tx.run(
    "UPDATE revocation_request SET state = 'done', error_code = ?, error_message = ? WHERE id = ? AND state = 'revoked'",
    code,
    message,
    id,
  );
}

export function finishedRevocations(
  tx: Transaction,
  { tenant }: { tenant: string },
): { id: number; result: FinishedRevocation }[] {
  const rows = tx.all(
    "SELECT * FROM revocation_request WHERE tenant = ? AND state = 'done' ORDER BY id LIMIT ?",
    tenant,
    MAX_AT_ONCE,
  );
  return rows.map((row) => {
    const errorCode = row["error_code"] as RevocationErrorCode;
    return {
      id: row["id"] as number,
      result: {
        requestContext: row["request_context"] as string,
        succeeded: errorCode === "None",
        errorCode,
        errorMessage: row["error_message"] as string | null,
      },
    };
  });
}

/** Intune has their results. */
export function forgetRevocations(tx: Transaction, { ids }: { ids: readonly number[] }): void {
  for (const id of ids) {
    tx.run("DELETE FROM revocation_request WHERE id = ? AND state = 'done'", id);
  }
}

/**
 * The ids under which Microsoft's certificate connector writes the like into the Windows event log, so that alerts made
 * for it can be moved: they stand as `microsoftEventId` in log lines and audit payloads. Events without a counterpart
 * there have none.
 */
type EventId = number | ((about: Readonly<Record<string, unknown>>) => number | undefined);

const EVENT_IDS: Readonly<Record<string, EventId>> = {
  "enrolment.issued": ({ frontDoor }) => (frontDoor === "pkcs" ? 1_050 : 4_006),
  "enrolment.failed": failureId,
  "scep.answered": ({ status }) => (status === "SUCCESS" ? 4_006 : undefined),
  "scep.refused": failureId,
  "scep.failed": failureId,
  "notification.accepted": 4_008,
  "notification.deferred": 4_009,
  "notification.failed": 4_009,
  "notification.refused": 4_002,
  "pkcs.sealed": 1_000,
  "pfx.imported": 2_050,
  "certificate.revoked": 3_050,
  "authority.revoked": 3_050,
  "authority.revocation-by-hand": 3_051,
  "authority.revocation-deferred": 3_052,
  "authority.revocation-failed": 3_052,
  "intune.revocations-failed": 3_052,
};

/** Who checks the right to a certificate: their refusals are a failed verification, all others a failed issuance. */
const VERIFICATION = /^(challenge|renewal|rescue|intune|webhook)-/;
const NOT_SAVED = "notifications-full";

function failureId({ code, error }: Readonly<Record<string, unknown>>): number {
  const said = code ?? (error as { readonly code?: unknown } | undefined)?.code;
  if (said === NOT_SAVED) return 4_010;
  return VERIFICATION.test(String(said)) ? 4_005 : 4_007;
}

/** Of an event of ours, with what its log line or audit payload says. */
export function microsoftEventId(
  event: string,
  about: Readonly<Record<string, unknown>>,
): number | undefined {
  const id = Object.hasOwn(EVENT_IDS, event) ? EVENT_IDS[event] : undefined;
  return typeof id === "function" ? id(about) : id;
}

/** The same with the id, where there is one. */
export function withMicrosoftEventId(
  event: string,
  about: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const id = microsoftEventId(event, about);
  return id === undefined ? about : { ...about, microsoftEventId: id };
}

import type { Clock } from "@isthmus/shared/clock";
import { codeOf } from "@isthmus/shared/errors";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { Profile } from "../core/profile.ts";
import { type RehearsalParts, rehearse } from "../core/rehearsal.ts";
import { parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import { readCaCertificates } from "../protocol/scep-client.ts";
import { readScepContent } from "../protocol/scep-content.ts";
import {
  FAIL_INFOS,
  nameOf,
  PKI_STATUSES,
  parsePkiMessage,
  readNumber,
  verifyPkiMessage,
} from "../protocol/scep-message.ts";
import { parseCapabilities, parseScepQuery } from "../protocol/scep-request.ts";
import type { HttpAnswer } from "./http-answer.ts";
import type { RegistrationKey } from "./registration-authority.ts";

/** What we would have answered, or what NDES did. `reason` is a stable code where it is a refusal. */
export interface Verdict {
  readonly isAccepted: boolean;
  readonly reason: string | undefined;
}

export interface Judged {
  readonly operation: string;
  readonly transactionId: string | undefined;
  readonly own: Verdict;
}

export interface ShadowJudgeParts extends RehearsalParts {
  /** NDES's RA key, where it was exported; without it nothing inside an envelope is looked at. */
  readonly ndesKey: RegistrationKey | undefined;
  readonly clock: Clock;
}

const ACCEPTED: Verdict = { isAccepted: true, reason: undefined };

/** Judges a request as the profile would, without a trace. */
export async function judgeRequest(
  parts: ShadowJudgeParts,
  profile: Profile,
  { query, body }: { readonly query: string; readonly body: Buffer | undefined },
): Promise<Judged> {
  let operation = "unknown";
  let transactionId: string | undefined;
  try {
    const parsed = parseScepQuery(query);
    operation = parsed.operation;
    if (parsed.operation !== "PKIOperation") return { operation, transactionId, own: ACCEPTED };
    const message = parsePkiMessage(body ?? parsed.message ?? Buffer.alloc(0));
    ({ transactionId } = message);
    operation = message.messageType;
    const allowLegacy = profile.legacyAlgorithms;
    const verified = verifyPkiMessage(message, { allowLegacy });
    await judgeContent(parts, profile, verified);
    return { operation, transactionId, own: ACCEPTED };
  } catch (error) {
    return { operation, transactionId, own: { isAccepted: false, reason: codeOf(error) } };
  }
}

async function judgeContent(
  parts: ShadowJudgeParts,
  profile: Profile,
  message: ReturnType<typeof verifyPkiMessage>,
): Promise<void> {
  const { ndesKey, clock } = parts;
  const allowLegacy = profile.legacyAlgorithms;
  const envelope = parseEnvelopedData(message.signedData.content, { allowLegacy });
  if (ndesKey === undefined || message.messageType === "CertRep") return;
  const sealed = sealedFor(envelope, [ndesKey.responder.certificate])?.sealed;
  // To another RA than the exported one: NDES has two, and may have renewed it.
  if (sealed === undefined) return;
  const opened = await ndesKey.opener.open(sealed);
  const options = { allowLegacy, signerKey: message.signer };
  const content = readScepContent(message.messageType, opened, options);
  if (content.messageType !== "PKCSReq" && content.messageType !== "RenewalReq") return;
  const { certificationRequest } = content;
  rehearse(parts, { profile, certificationRequest, now: clock.now() });
}

/** What NDES has answered; undefined where that is no answer of SCEP. */
export function verdictOfNdes(operation: string, answer: HttpAnswer): Verdict | undefined {
  if (answer.status !== 200) return { isAccepted: false, reason: `HTTP ${answer.status}` };
  try {
    switch (operation) {
      case "GetCACaps":
        return ACCEPTED;
      case "GetCACert":
        readCaCertificates(answer.contentType, answer.body);
        return ACCEPTED;
      case "GetNextCACert":
        return ACCEPTED;
      default:
        return verdictOfCertRep(answer.body);
    }
  } catch {
    return undefined;
  }
}

function verdictOfCertRep(body: Buffer): Verdict {
  const { signerInfo } = parsePkiMessage(body);
  const status = nameOf(PKI_STATUSES, readNumber(signerInfo, OID.scepPkiStatus));
  if (status !== "FAILURE") return ACCEPTED;
  return {
    isAccepted: false,
    reason: nameOf(FAIL_INFOS, readNumber(signerInfo, OID.scepFailInfo)) ?? "failInfo",
  };
}

/** Which capabilities NDES offers and we do not, as reasons. */
export function missingCapabilities(theirs: Buffer, ours: readonly string[]): string[] {
  const offered = parseCapabilities(theirs.toString("latin1"));
  return [...offered].filter((each) => !ours.includes(each)).map((each) => `caps-${each}`);
}

import { ConnectorError, codeOf, ProtocolError, RefusalError } from "@isthmus/shared/errors";
import type { FailInfo } from "../protocol/scep-message.ts";

/** What a device is told of a failure: the code of RFC 8894 section 3.2.1.4.5, and a sentence where it may know. */
export interface Failure {
  readonly failInfo: FailInfo;
  readonly failInfoText: string;
}

const BY_CODE: Readonly<Record<string, FailInfo>> = {
  "cms-algorithm": "badAlg",
  "cms-digest-algorithm": "badAlg",
  "x509-signature-algorithm": "badAlg",
  "scep-signer-key": "badAlg",
  "cms-signer": "badMessageCheck",
  "cms-signature": "badMessageCheck",
  "clock-behind": "badTime",
  "clock-offset": "badTime",
  "certificate-unknown": "badCertId",
};

/**
 * Whether a request was not judged at all, e.g. because the ledger's database is away: then there is no SCEP answer, which
 * would end the transaction, but HTTP's "come back later".
 */
export function isForLater(error: unknown): boolean {
  return error instanceof ConnectorError && error.isRetryable && !(error.code in BY_CODE);
}

/** An error as the device sees it. Only refusals and protocol faults, which say what the device did, come with a sentence. */
export function failureOf(error: unknown): Failure {
  const code = codeOf(error);
  const failInfo = BY_CODE[code] ?? "badRequest";
  const isTellable = error instanceof RefusalError || error instanceof ProtocolError;
  return { failInfo, failInfoText: isTellable ? `${code}: ${error.message}` : code };
}

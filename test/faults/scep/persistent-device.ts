import type { KeyObject } from "node:crypto";
import type { ScepTransaction } from "@isthmus/cert-connector/protocol/scep-client";
import {
  issued,
  makeChallenge,
  makeRequest,
  type ScepDevice,
} from "@isthmus/cert-connector/testing/scep-device";
import { systemRandom } from "@isthmus/shared/random";

/** What came of one enrolment, over however many attempts. */
export interface Enrolment {
  readonly challengeId: string;
  readonly transaction: ScepTransaction;
  /** DER in hex, of each answer that arrived. */
  readonly certificates: readonly string[];
  readonly attempts: number;
}

/** Makes a request of its own for a device of its own. */
export async function beginEnrolment(
  device: ScepDevice,
  challengeKey: KeyObject,
  deviceKey: KeyObject,
): Promise<Pick<Enrolment, "challengeId" | "transaction">> {
  const challengeId = systemRandom.bytes(8).toString("hex");
  const now = Date.now();
  const claims = { jti: challengeId, deviceId: challengeId, subject: `CN=${challengeId}` };
  const challengePassword = await makeChallenge(challengeKey, now, claims);
  const { certificationRequest, signer } = await makeRequest({ challengePassword }, now, deviceKey);
  const wish = { messageType: "PKCSReq", certificationRequest } as const;
  return { challengeId, transaction: await device.begin(wish, signer) };
}

/**
 * Sends one request until an answer arrives, whatever happens to the connector meanwhile, and then once more: as a device
 * does that lost the answer.
 */
export async function enrolPersistently(
  begun: Pick<Enrolment, "challengeId" | "transaction">,
  deviceNow: () => Promise<ScepDevice>,
): Promise<Enrolment> {
  const certificates: string[] = [];
  let attempts = 0;
  while (certificates.length < 2) {
    attempts += 1;
    const device = await deviceNow();
    const answer = await device.send(begun.transaction).catch(isLost);
    if (answer !== "lost") certificates.push(issued(answer).der.toString("hex"));
  }
  return { ...begun, certificates, attempts };
}

/** A connection that broke is the connector's death; any answer that is wrong is a fault. */
function isLost(error: unknown): "lost" {
  if (error instanceof TypeError) return "lost";
  throw error;
}

import { hash, type KeyObject } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { ScepTransaction } from "@isthmus/cert-connector/protocol/scep-client";
import { issued, makeRequest, type ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { systemRandom } from "@isthmus/shared/random";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import type { IntuneSimulator } from "../../simulators/intune/intune-simulator.ts";

/** What a device came to hold, and how often it had to ask. */
export interface WaitedEnrolment {
  readonly transactionId: string;
  /** SHA-1 of what each of its two answers held, in the form of notifications. */
  readonly thumbprints: readonly string[];
  /** Intune knew of the certificate before the device did. */
  readonly wasToldFirst: boolean;
  readonly lost: number;
  readonly pending: number;
}

const POLL_MS = 30;

/** A device of its own with a profile of Intune. */
export async function beginIntuneEnrolment(
  device: ScepDevice,
  simulator: IntuneSimulator,
  key: KeyObject,
): Promise<ScepTransaction> {
  const subject = `CN=${systemRandom.bytes(8).toString("hex")}`;
  const challengePassword = simulator.requests.assign({ subject, subjectAltNames: [] });
  const content = { subject: parseNameText(subject), challengePassword };
  const { certificationRequest, signer } = await makeRequest(content, Date.now(), key);
  return await device.begin({ messageType: "PKCSReq", certificationRequest }, signer);
}

/** Repeats one request until it has got its certificate, and then once more. */
export async function enrolPatiently(
  transaction: ScepTransaction,
  deviceNow: () => Promise<ScepDevice>,
  { notifications }: Pick<IntuneSimulator, "notifications">,
): Promise<WaitedEnrolment> {
  const { transactionId } = transaction;
  const thumbprints: string[] = [];
  let [lost, pending, wasToldFirst] = [0, 0, false];
  while (thumbprints.length < 2) {
    const answer = await (await deviceNow()).send(transaction).catch(isLost);
    if (answer === "lost") lost += 1;
    else if (answer.status === "PENDING") pending += 1;
    else {
      if (thumbprints.length === 0)
        wasToldFirst = notifications.some(({ body }) => body["transactionId"] === transactionId);
      thumbprints.push(hash("sha1", issued(answer).der, "hex").toUpperCase());
    }
    if (answer === "lost" || answer.status === "PENDING") await delay(POLL_MS);
  }
  return { transactionId, thumbprints, wasToldFirst, lost, pending };
}

/** A connection that broke is the connector's death; any answer that is wrong is a fault. */
function isLost(error: unknown): "lost" {
  if (error instanceof TypeError) return "lost";
  throw error;
}

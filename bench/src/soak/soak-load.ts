import { createPrivateKey, type KeyObject, randomInt, randomUUID } from "node:crypto";
import { Agent } from "node:http";
import { beginScepTransaction } from "@isthmus/cert-connector/protocol/scep-client";
import { signJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { answerWith } from "../process/answering.ts";
import { DeviceMessages, fetchRecipient } from "../scep/device-messages.ts";
import { post } from "../scep/http-load.ts";
import { issuedCertificate } from "../scep/issued-certificate.ts";
import { paced } from "./paced.ts";

/** The devices of a soak, on the moved clock: they enrol, renew later, and keep the RA's certificate for a while. */

const HOUR_MS = 3_600_000;
const AT_ONCE = 64;
/** A device that enrolled keeps its certificate for a renewal; so many of them are remembered. */
const MAX_REMEMBERED = 5_000;
/** Of those that are old enough, one in so many pieces of work is a renewal. */
const RENEWAL_EVERY = 5;
const MAX_FAILURE_TEXTS = 20;

export interface SoakOrder {
  readonly url: string;
  readonly profileId: string;
  /** PEM, for one-time challenges. */
  readonly challengeKey: string;
  /** Infinity: as fast as it goes. */
  readonly perSecond: number;
  /** Certificates older than this are renewed, ms of the moved clock. */
  readonly renewAfterMs: number;
  /** How long the RA's certificate is kept before it is asked for again, ms of the moved clock. */
  readonly keepRecipientMs: number;
}

export interface SoakProgress {
  readonly enrolled: number;
  readonly renewed: number;
  readonly failed: number;
  /** What failures said, the first ones. */
  readonly failures: readonly string[];
  /** Serial numbers since the last time this was asked. */
  readonly serialNumbers: readonly string[];
  readonly latenciesMs: readonly number[];
  /** How many certificates of an RA were seen. */
  readonly recipients: number;
}

interface Remembered {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
  readonly commonName: string;
  readonly sinceMs: number;
}

const devices = new DeviceMessages();
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
const recipients = new Set<string>();
const remembered: Remembered[] = [];
let counts = { enrolled: 0, renewed: 0, failed: 0 };
let failures: string[] = [];
let serialNumbers: string[] = [];
let latenciesMs: number[] = [];
let recipient: { readonly certificate: Certificate; readonly untilMs: number } | undefined;
let running: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

const handlers = {
  begin: async (order: SoakOrder): Promise<void> => {
    const stop = new AbortController();
    const challengeKey = createPrivateKey(order.challengeKey);
    const act = () => work(order, challengeKey);
    const { perSecond } = order;
    const done = paced(act, { perSecond, atOnce: AT_ONCE, signal: stop.signal });
    running = { stop, done };
  },

  progress: (): SoakProgress => {
    const progress = {
      ...counts,
      failures,
      serialNumbers,
      latenciesMs,
      recipients: recipients.size,
    };
    [serialNumbers, latenciesMs] = [[], []];
    return progress;
  },

  end: async (): Promise<void> => {
    running?.stop.abort();
    await running?.done;
    running = undefined;
  },

  /** A certificate that was revoked is not renewed: it would be refused, and rightly. */
  forget: (serialNumber: string): void => {
    const index = remembered.findIndex(
      ({ certificate }) => certificate.serialNumber === serialNumber,
    );
    if (index >= 0) remembered.splice(index, 1);
  },

  /** Forgets what was counted, e.g. after the capacity was measured. */
  reset: (): void => {
    counts = { enrolled: 0, renewed: 0, failed: 0 };
    [failures, serialNumbers, latenciesMs] = [[], [], []];
  },
};
export type SoakLoadProgram = typeof handlers;
answerWith(handlers);

async function work(order: SoakOrder, challengeKey: KeyObject): Promise<void> {
  try {
    const old = renewable(order.renewAfterMs);
    if (old === undefined) await enrol(order, challengeKey);
    else await renew(order, old);
  } catch (error) {
    counts.failed += 1;
    const text = error instanceof Error ? error.message : String(error);
    if (failures.length < MAX_FAILURE_TEXTS) failures.push(text);
  }
}

async function enrol(order: SoakOrder, challengeKey: KeyObject): Promise<void> {
  const commonName = randomUUID();
  const challenge = await challengeFor(commonName, order.profileId, challengeKey);
  const recipient = await recipientAt(order);
  const transaction = await devices.begin({ recipient }, { commonName, challenge });
  const certificate = await send(order, transaction);
  counts.enrolled += 1;
  const { privateKey } = transaction.signer;
  remember({ certificate, privateKey, commonName, sinceMs: Date.now() });
}

async function renew(order: SoakOrder, old: Remembered): Promise<void> {
  const { certificate, privateKey } = old;
  const { subject } = certificate;
  const certificationRequest = await encodeCertificationRequest({ subject }, privateKey);
  const transaction = await beginScepTransaction(
    { messageType: "RenewalReq", certificationRequest },
    { certificate, privateKey },
    { recipient: await recipientAt(order) },
    systemRandom,
  );
  await send(order, transaction);
  counts.renewed += 1;
}

async function send(
  order: SoakOrder,
  transaction: Awaited<ReturnType<typeof beginScepTransaction>>,
): Promise<Certificate> {
  const url = new URL(`${order.url}?operation=PKIOperation`);
  let answer = await post(agent, url, transaction.message);
  // A kept connection that the server closes in the moment of sending: the same message again is the same request.
  if (answer.status === 0) answer = await post(agent, url, transaction.message);
  const { status, body, latencyMs } = answer;
  latenciesMs.push(latencyMs);
  if (status !== 200) throw new Error(`HTTP ${status}: ${body.toString().slice(0, 200)}`);
  const certificate = issuedCertificate(body, transaction);
  serialNumbers.push(certificate.serialNumber);
  return certificate;
}

/** The oldest that is due, now and then; each is renewed once. */
function renewable(afterMs: number): Remembered | undefined {
  const [oldest] = remembered;
  if (oldest === undefined || Date.now() - oldest.sinceMs < afterMs) return undefined;
  return randomInt(RENEWAL_EVERY) === 0 ? remembered.shift() : undefined;
}

/** What finds no place is not renewed: a device that is never seen again. */
function remember(one: Remembered): void {
  if (remembered.length < MAX_REMEMBERED) remembered.push(one);
}

async function recipientAt({ url, keepRecipientMs }: SoakOrder): Promise<Certificate> {
  if (recipient === undefined || recipient.untilMs < Date.now()) {
    const certificate = await fetchRecipient(new URL(url));
    recipient = { certificate, untilMs: Date.now() + keepRecipientMs };
    recipients.add(certificate.thumbprint);
  }
  return recipient.certificate;
}

function challengeFor(commonName: string, profileId: string, key: KeyObject): Promise<string> {
  const now = Date.now();
  const payload = {
    jti: randomUUID(),
    aud: "any",
    profileId,
    deviceId: commonName,
    subject: `CN=${commonName}`,
    subjectAltNames: [],
    iat: now,
    exp: now + HOUR_MS,
  };
  return signJws(payload, JWS_TYPES.challenge, key);
}

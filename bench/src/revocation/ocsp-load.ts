import { randomBytes, randomInt } from "node:crypto";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { certIdFor, encodeOcspRequest } from "@isthmus/shared/x509/ocsp-request";
import { parseOcspResponse } from "@isthmus/shared/x509/ocsp-response";
import { verifyOcspResponse } from "@isthmus/shared/x509/ocsp-verification";
import { answerWith } from "../process/answering.ts";
import { fire, type HttpAnswer } from "../scep/http-load.ts";

/** Relying parties of the ocsp bench, in a process of their own. */

const NONCE_OCTETS = 16;
/** So many answers of a round are verified; the others have to be of status successful. */
const VERIFIED = 50;

interface Question {
  readonly serialNumber: string;
  readonly nonce: Buffer | undefined;
  readonly body: Buffer;
}

let issuer: Certificate | undefined;
let questions: readonly Question[] = [];
let answers: readonly HttpAnswer[] = [];

const handlers = {
  prepare: ({
    issuerDer,
    serialNumbers,
    count,
    withNonce,
  }: {
    issuerDer: Uint8Array;
    serialNumbers: readonly string[];
    count: number;
    withNonce: boolean;
  }): void => {
    const certificate = parseCertificate(issuerDer);
    issuer = certificate;
    questions = Array.from({ length: count }, () => {
      const serialNumber = serialNumbers[randomInt(serialNumbers.length)] ?? "";
      const nonce = withNonce ? randomBytes(NONCE_OCTETS) : undefined;
      const certIds = [certIdFor(certificate, serialNumber)];
      const body = encodeOcspRequest({ certIds, ...(nonce !== undefined && { nonce }) });
      return { serialNumber, nonce, body };
    });
  },

  fire: async ({ url, concurrency }: { url: string; concurrency: number }) => {
    const bodies = questions.map(({ body }) => body);
    const round = await fire(new URL(url), bodies, concurrency, "application/ocsp-request");
    answers = round.answers;
    return { seconds: round.seconds, latenciesMs: answers.map(({ latencyMs }) => latencyMs) };
  },

  /** How many answers are none of status `good`, with the first reason. */
  check: (): { readonly failures: number; readonly first: string | undefined } => {
    const reasons = questions.flatMap((question, index) => {
      const reason = faultOf(question, answers[index], index < VERIFIED);
      return reason === undefined ? [] : [reason];
    });
    return { failures: reasons.length, first: reasons[0] };
  },
};
export type OcspLoadProgram = typeof handlers;
answerWith(handlers);

function faultOf(
  { serialNumber, nonce }: Question,
  answer: HttpAnswer | undefined,
  isVerified: boolean,
): string | undefined {
  if (answer?.status !== 200) return `HTTP ${answer?.status}: ${answer?.body}`;
  const response = parseOcspResponse(answer.body);
  if (response.status !== "successful") return response.status;
  if (!isVerified || issuer === undefined) return undefined;
  const now = Date.now();
  const { certStatus } = verifyOcspResponse(response, { issuer, serialNumber, nonce, now });
  return certStatus.status === "good" ? undefined : certStatus.status;
}

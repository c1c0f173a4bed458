import type { ScepTransaction } from "@isthmus/cert-connector/protocol/scep-client";
import { answerWith } from "../process/answering.ts";
import { DeviceMessages, type Enrollee, fetchRecipient } from "./device-messages.ts";
import { fire, type HttpAnswer } from "./http-load.ts";
import { issuedCertificate } from "./issued-certificate.ts";

/** The devices of the scep bench, in a process of their own: it makes messages, sends them, and opens the answers. */

/** What came of one round. */
export interface EnrolmentRound {
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}

/** What the answers held, found after the clock has stopped. */
export interface EnrolmentResults {
  /** Serial numbers of the issued certificates, hex. */
  readonly serialNumbers: readonly string[];
  /** Why the others failed. */
  readonly failures: readonly string[];
}

/** Whose messages are made, and for which server. */
interface Preparation {
  readonly url: string;
  readonly mayEchoNonce: boolean;
  readonly enrollees: readonly Enrollee[];
}

const devices = new DeviceMessages();
let prepared: { readonly url: URL; readonly transactions: readonly ScepTransaction[] } | undefined;
let answers: readonly HttpAnswer[] = [];

const handlers = {
  /** Makes the messages of a round, ready to be sent to this SCEP URL. */
  prepare: async ({ url, mayEchoNonce, enrollees }: Preparation): Promise<void> => {
    const recipient = await fetchRecipient(new URL(url));
    const transactions = await devices.make({ recipient, mayEchoNonce }, enrollees);
    prepared = { url: new URL(`${url}?operation=PKIOperation`), transactions };
  },

  /** Sends what was prepared. */
  fire: async ({ concurrency }: { concurrency: number }): Promise<EnrolmentRound> => {
    const { url, transactions } = ready();
    const bodies = transactions.map(({ message }) => message);
    const round = await fire(url, bodies, concurrency);
    answers = round.answers;
    return { seconds: round.seconds, latenciesMs: answers.map(({ latencyMs }) => latencyMs) };
  },

  /** Verifies and opens every answer of the last round. */
  check: async (): Promise<EnrolmentResults> => {
    const serialNumbers: string[] = [];
    const failures: string[] = [];
    for (const [index, transaction] of ready().transactions.entries()) {
      const outcome = open(transaction, answers[index]);
      if ("serialNumber" in outcome) serialNumbers.push(outcome.serialNumber);
      else failures.push(outcome.failure);
    }
    return { serialNumbers, failures };
  },
};
export type ScepLoadProgram = typeof handlers;
answerWith(handlers);

function ready() {
  if (prepared === undefined) throw new Error("nothing was prepared");
  return prepared;
}

function open(
  transaction: ScepTransaction,
  answer: HttpAnswer | undefined,
): { readonly serialNumber: string } | { readonly failure: string } {
  if (answer?.status !== 200) {
    return { failure: `HTTP ${answer?.status}: ${answer?.body.toString().slice(0, 200)}` };
  }
  try {
    return { serialNumber: issuedCertificate(answer.body, transaction).serialNumber };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}

import { ProtocolError } from "@isthmus/shared/errors";
import type { OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import { type Random, randomGuid } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { IssuanceAnswer } from "../core/ports.ts";
import { type AdcsLogin, authorizationOf } from "./adcs-login.ts";
import { adcsFailure, revocationNotSupported } from "./adcs-outcome.ts";
import { type RequestAttributes, requestAttributes, requestDeviation } from "./adcs-request.ts";
import { refused, statusError, unavailable, unexpectedAnswer } from "./remote-answer.ts";
import type { RemoteBackEnd, RemoteOrder, RemoteRevocation } from "./remote-order.ts";
import {
  encodeWstepRequest,
  parseWstepAnswer,
  type WstepAnswer,
  type WstepRequest,
} from "./wstep-messages.ts";

export interface AdcsCesParts {
  readonly http: OutboundHttp;
  /** The service's own address, which stands in its messages. */
  readonly to: string;
  readonly login: AdcsLogin;
  readonly attributes: RequestAttributes;
  readonly random: Random;
}

/** AD CS by its Certificate Enrollment Web Service (CES). */
export class AdcsCesBackEnd implements RemoteBackEnd {
  readonly #parts: AdcsCesParts;

  constructor(parts: AdcsCesParts) {
    this.#parts = parts;
  }

  async issue(order: RemoteOrder): Promise<IssuanceAnswer> {
    const { reference, signal, request, planned } = order;
    if (reference !== undefined) {
      return outcomeOf(await this.#ask({ kind: "status", requestId: reference }, signal));
    }
    const { attributes } = this.#parts;
    const deviation = requestDeviation(request, planned, attributes);
    if (deviation !== undefined) {
      return refused(
        "ca-names",
        `AD CS takes names from the device's request alone, and ${deviation}`,
      );
    }
    const lines = requestAttributes(attributes, planned);
    if (lines === undefined) {
      return refused("ca-names", "an alternative name cannot be written as an attribute for AD CS");
    }
    const of = {
      kind: "issue",
      certificationRequest: request.der,
      attributes: attributesOf(lines),
    } as const;
    return outcomeOf(await this.#ask(of, signal));
  }

  async revoke({ certificate }: RemoteRevocation): Promise<void> {
    throw revocationNotSupported(certificate.serialNumber);
  }

  /** Asks about a request that there is none of: whoever answers that, with a fault, would answer others too. */
  async probe(signal: AbortSignal): Promise<readonly Certificate[]> {
    const answer = await this.#ask({ kind: "status", requestId: "0" }, signal);
    if (answer.kind === "fault") throwPassing(answer);
    return [];
  }

  async #ask(of: WstepRequest["of"], signal: AbortSignal): Promise<WstepAnswer> {
    const { http, login, to, random } = this.#parts;
    const answer = await http.send({
      method: "POST",
      path: "",
      headers: { "content-type": "application/soap+xml; charset=utf-8" },
      body: encodeWstepRequest({
        messageId: `urn:uuid:${randomGuid(random)}`,
        to,
        of,
        login:
          login.method === "basic" ? { user: login.user, password: login.password() } : undefined,
      }),
      // A password goes in the message, as its endpoint of CES wants it; a ticket goes beside it.
      ...(login.method === "kerberos" && { authorize: authorizationOf(login) }),
      signal,
    });
    // A fault comes with 500, and says more than that.
    if (answer.status !== 200 && answer.status !== 500) throw statusError(answer, "");
    return read(answer.body, answer.status);
  }

  [Symbol.dispose](): void {
    this.#parts.http[Symbol.dispose]();
  }
}

function read(body: Buffer, status: number): WstepAnswer {
  try {
    return parseWstepAnswer(body.toString("utf8"));
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    if (status !== 200) throw unavailable(`it answered ${status} without a SOAP fault`, cause);
    throw unexpectedAnswer(cause.message, cause);
  }
}

/** A fault that says nothing of a request is one of the service, or of our login. */
function throwPassing({ code, message }: Extract<WstepAnswer, { kind: "fault" }>): void {
  if (code === undefined) throw unavailable(`CES failed: ${message.slice(0, 300)}`);
  adcsFailure(code, message);
}

function outcomeOf(answer: WstepAnswer): IssuanceAnswer {
  switch (answer.kind) {
    case "issued":
      return { kind: "issued", certificate: answer.certificate };
    case "pending":
      return { kind: "pending", reference: answer.requestId };
    case "fault": {
      if (answer.isDenied || answer.code !== undefined) {
        return adcsFailure(answer.code, answer.message);
      }
      throw unavailable(`CES failed: ${answer.message.slice(0, 300)}`);
    }
  }
}

function attributesOf(lines: string): Record<string, string> {
  const pairs = lines
    .split("\r\n")
    .filter((line) => line !== "")
    .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)] as const);
  return Object.fromEntries(pairs);
}

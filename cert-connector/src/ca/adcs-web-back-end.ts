import { ConnectorError } from "@isthmus/shared/errors";
import type { OutboundAnswer, OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { IssuanceAnswer } from "../core/ports.ts";
import { type AdcsLogin, authorizationOf } from "./adcs-login.ts";
import { adcsFailure, revocationNotSupported } from "./adcs-outcome.ts";
import { readAdcsPage, renewalsIn } from "./adcs-pages.ts";
import { type RequestAttributes, requestAttributes, requestDeviation } from "./adcs-request.ts";
import { certificateOfPem, refused, statusError, unexpectedAnswer } from "./remote-answer.ts";
import type { RemoteBackEnd, RemoteOrder, RemoteRevocation } from "./remote-order.ts";

export interface AdcsWebParts {
  readonly http: OutboundHttp;
  readonly login: AdcsLogin;
  readonly attributes: RequestAttributes;
}

const FINISH = "/certsrv/certfnsh.asp";

/**
 * AD CS by its web enrolment pages (`/certsrv`): a form with the request, and a page that says what became of it. A request
 * whose answer was lost cannot be found again there; it is sent once more, and the first certificate stays with the CA.
 */
export class AdcsWebBackEnd implements RemoteBackEnd {
  readonly #parts: AdcsWebParts;

  constructor(parts: AdcsWebParts) {
    this.#parts = parts;
  }

  async issue(order: RemoteOrder): Promise<IssuanceAnswer> {
    const { reference, signal } = order;
    if (reference !== undefined) {
      return await this.#outcome({ Mode: "chkpnd", ReqID: reference }, reference, signal);
    }
    const { attributes } = this.#parts;
    const deviation = requestDeviation(order.request, order.planned, attributes);
    if (deviation !== undefined) {
      return refused(
        "ca-names",
        `AD CS takes names from the device's request alone, and ${deviation}`,
      );
    }
    const lines = requestAttributes(attributes, order.planned);
    if (lines === undefined) {
      return refused("ca-names", "an alternative name cannot be written as an attribute for AD CS");
    }
    const form = {
      Mode: "newreq",
      CertRequest: order.requestPem,
      CertAttrib: lines,
      TargetStoreFlags: "0",
      SaveCert: "yes",
    };
    return await this.#outcome(form, undefined, signal);
  }

  async revoke({ certificate }: RemoteRevocation): Promise<void> {
    throw revocationNotSupported(certificate.serialNumber);
  }

  /** The newest of the CA's own certificates. */
  async probe(signal: AbortSignal): Promise<readonly Certificate[]> {
    const page = await this.#get("/certsrv/certcarc.asp", signal);
    const renewals = renewalsIn(page.body.toString("utf8"));
    if (renewals === undefined) {
      throw unexpectedAnswer("its page certcarc.asp does not tell the CA's certificate");
    }
    const path = `/certsrv/certnew.cer?ReqID=CACert&Enc=b64&Renewal=${renewals}`;
    const answer = await this.#get(path, signal);
    return [certificateOfPem(answer.body.toString("latin1"))];
  }

  async #outcome(
    form: Readonly<Record<string, string>>,
    reference: string | undefined,
    signal: AbortSignal,
  ): Promise<IssuanceAnswer> {
    const answer = await this.#parts.http.send({
      method: "POST",
      path: FINISH,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(form).toString(),
      authorize: authorizationOf(this.#parts.login),
      signal,
    });
    if (answer.status !== 200) throw statusError(answer, "");
    const page = readAdcsPage(answer.body.toString("utf8"));
    switch (page.kind) {
      case "issued":
        return await this.#fetch(page.requestId, signal);
      case "pending":
        return { kind: "pending", reference: page.requestId ?? reference };
      case "denied":
        return refused("ca-denied", `AD CS has denied the request: ${page.message}`);
      case "failed":
        return adcsFailure(page.code, page.message);
      case "unknown":
        throw unexpectedAnswer("the answer is no page of AD CS web enrolment");
    }
  }

  /** Where the certificate is there and cannot be had now it is asked for by its number, and never requested again. */
  async #fetch(requestId: string, signal: AbortSignal): Promise<IssuanceAnswer> {
    try {
      return { kind: "issued", certificate: await this.#certificate(requestId, signal) };
    } catch (error) {
      if (!(error instanceof ConnectorError && error.isRetryable)) throw error;
      return { kind: "pending", reference: requestId };
    }
  }

  async #certificate(requestId: string, signal: AbortSignal): Promise<Buffer> {
    const path = `/certsrv/certnew.cer?ReqID=${requestId}&Enc=b64`;
    const { body } = await this.#get(path, signal);
    return certificateOfPem(body.toString("latin1")).der;
  }

  async #get(path: string, signal: AbortSignal): Promise<OutboundAnswer> {
    const authorize = authorizationOf(this.#parts.login);
    const answer = await this.#parts.http.send({ method: "GET", path, authorize, signal });
    if (answer.status !== 200) throw statusError(answer, "");
    return answer;
  }

  [Symbol.dispose](): void {
    this.#parts.http[Symbol.dispose]();
  }
}

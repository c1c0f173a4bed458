import { z } from "zod";
import type { FailurePayload, SuccessPayload } from "../core/notification.ts";
import { IntuneCallError, type IntuneClient } from "./intune-client.ts";

/** microsoft/Intune-Resource-Access, IntuneScepValidator. */
export const VALIDATION_SERVICE = "ScepRequestValidationFEService";
const API_VERSION = "2018-02-20";

/** `Success`, or why not. Intune answers 200 either way. */
const answer = z.object({ code: z.string().min(1).max(128) });

/** The three calls about one certification request, each with the fields in the published order. */
export class ScepValidation {
  readonly #client: Pick<IntuneClient, "post" | "name">;
  readonly #callerInfo: string;

  constructor(client: Pick<IntuneClient, "post" | "name">, callerInfo: string) {
    this.#client = client;
    this.#callerInfo = callerInfo;
  }

  /** Intune's code for a request, `Success` where it is good. Throws what `IntuneClient.post` throws. */
  validate(request: { readonly transactionId: string; readonly certificateRequest: string }) {
    const { transactionId, certificateRequest } = request;
    const callerInfo = this.#callerInfo;
    const body = { request: { transactionId, certificateRequest, callerInfo } };
    return this.#post("ScepActions/validateRequest", body);
  }

  /** One attempt: an outbox repeats it. */
  notifySuccess(of: SuccessPayload): Promise<string> {
    const notification = {
      transactionId: of.transactionId,
      certificateRequest: of.certificateRequest,
      certificateThumbprint: of.certificateThumbprint,
      certificateSerialNumber: of.certificateSerialNumber,
      certificateExpirationDateUtc: of.certificateExpirationDateUtc,
      issuingCertificateAuthority: of.issuingCertificateAuthority,
      callerInfo: this.#callerInfo,
      caConfiguration: of.caConfiguration,
      certificateAuthority: of.certificateAuthority,
    };
    return this.#post("ScepActions/successNotification", { notification }, 1);
  }

  /** One attempt: an outbox repeats it. */
  notifyFailure(of: FailurePayload): Promise<string> {
    const { transactionId, certificateRequest, hResult, errorDescription } = of;
    const callerInfo = this.#callerInfo;
    const notification = {
      transactionId,
      certificateRequest,
      hResult,
      errorDescription,
      callerInfo,
    };
    return this.#post("ScepActions/failureNotification", { notification }, 1);
  }

  async #post(suffix: string, body: unknown, maxAttempts?: number): Promise<string> {
    const value = await this.#client.post({
      service: VALIDATION_SERVICE,
      suffix,
      apiVersion: API_VERSION,
      body,
      ...(maxAttempts !== undefined && { maxAttempts }),
    });
    const { data } = answer.safeParse(value);
    if (data !== undefined) return data.code;
    const message = `tenant ${this.#client.name}: Intune's answer to ${suffix} has no code`;
    throw new IntuneCallError("intune-answer", message, true);
  }
}

import { createHash, createPublicKey, randomUUID, verify } from "node:crypto";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { thumbprintOf } from "@isthmus/shared/link/jws";
import type { EnrolmentRequest } from "@isthmus/shared/link/messages";
import { enrolmentRequest, enrolmentSigningInput } from "@isthmus/shared/link/messages";
import type { LinkContext } from "./link-context.ts";

export interface EnrolmentOptions {
  readonly context: LinkContext;
  /** Where connectors connect, `wss://host:port/link`. */
  readonly linkUrl: string;
  /** The CA of this control plane's TLS certificate, where it is not a public one. */
  readonly caPem: string | undefined;
}

/** An HTTP answer: a status and a JSON body. */
export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Answers an enrolment: proof of possession, the one-time token, then a statement signed with the tenant key. */
export async function answerEnrolment(
  { context, linkUrl, caPem }: EnrolmentOptions,
  json: unknown,
): Promise<JsonAnswer> {
  const request = enrolmentRequest.safeParse(json);
  if (!request.success) return problem(400, "enrolment-invalid", "the request is no enrolment");
  if (!provesPossession(request.data)) {
    return problem(400, "enrolment-signature", "the signature is not by the given key");
  }
  try {
    // First: where the signer is away, the token must not be used up.
    const tenantKey = await context.signer.tenantKey();
    const outcome = await claim(context, request.data);
    if (outcome.connectorId === undefined) {
      return problem(403, outcome.refusal.code, outcome.refusal.message);
    }
    const { connectorId } = outcome;
    const jws = await context.signer.signEnrolment({
      connectorId,
      sub: thumbprintOf(request.data.publicKey),
      tenantKey: { ...tenantKey },
      linkUrl,
      ...(caPem !== undefined && { caPem }),
    });
    context.log.info({ connectorId, enrolledAs: request.data.service }, "connector.enrolled");
    return { status: 200, body: { jws } };
  } catch (error) {
    context.log.warn({ err: error }, "enrolment.failed");
    const isRetryable = error instanceof ConnectorError && error.isRetryable;
    return problem(isRetryable ? 503 : 500, codeOf(error), "the enrolment failed: try it again");
  }
}

function provesPossession({ secret, service, publicKey, signature }: EnrolmentRequest): boolean {
  const signed = enrolmentSigningInput({ secret, service, x: publicKey.x });
  const key = createPublicKey({ key: publicKey, format: "jwk" });
  return verify(null, signed, key, Buffer.from(signature, "base64url"));
}

async function claim({ store, clock }: LinkContext, request: EnrolmentRequest) {
  return await store.run("claimEnrolmentToken", {
    // Looked up by its hash, so that no comparison tells how much of a secret was right.
    secretHash: createHash("sha256").update(request.secret).digest("hex"),
    service: request.service,
    displayName: request.displayName,
    publicKeyX: request.publicKey.x,
    newConnectorId: randomUUID(),
    now: clock.now(),
  });
}

/** An error in the shape that the API has, too. */
export function problem(status: number, code: string, message: string): JsonAnswer {
  return { status, body: { error: { code, message } } };
}

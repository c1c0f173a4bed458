import type { KeyObject } from "node:crypto";
import { createHash, sign, X509Certificate } from "node:crypto";
import { z } from "zod";
import { ConnectorError, ProtocolError } from "../errors.ts";
import type { CloudAddress } from "./cloud-address.ts";
import { parseCloudUrl } from "./cloud-address.ts";
import type { CloudAnswer } from "./cloud-http.ts";
import { CloudHttp } from "./cloud-http.ts";
import { parseEnrolmentToken } from "./enrolment-token.ts";
import type { HttpProxy } from "./http-proxy.ts";
import { publicKeyOf, thumbprintOf, verifyJws } from "./jws.ts";
import type { EnrolmentAnswer, EnrolmentRequest, EnrolmentToken, Service } from "./messages.ts";
import {
  ENROLMENT_CA_PATH,
  ENROLMENT_PATH,
  enrolmentAnswer,
  enrolmentSigningInput,
  JWS_TYPES,
} from "./messages.ts";

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 262_144;

/**
 * Registers a connector's public key with the control plane that the token is for, and pins that one's tenant key: the answer has
 * to be signed by the key whose thumbprint the token carries. Store the private key first: the same token with the same key
 * may be sent again when an answer was lost. Throws `enrolment-token`, `enrolment-refused`, `enrolment-answer`, `enrolment-ca`
 * and what the connection throws.
 */
export async function enrol(of: {
  readonly token: string;
  readonly service: Service;
  readonly displayName: string;
  /** Ed25519. */
  readonly privateKey: KeyObject;
  /** PEM of the CAs to trust, where the token names none. */
  readonly ca?: string | undefined;
  readonly proxy?: HttpProxy | undefined;
}): Promise<EnrolmentAnswer> {
  const token = parseEnrolmentToken(of.token);
  const url = parseCloudUrl(token.url);
  const ca = of.ca ?? (await pinnedCa(token, { url, proxy: of.proxy }));
  const { x } = publicKeyOf(of.privateKey);
  const signed = enrolmentSigningInput({ secret: token.secret, service: of.service, x });
  const request: EnrolmentRequest = {
    secret: token.secret,
    service: of.service,
    displayName: of.displayName,
    publicKey: { kty: "OKP", crv: "Ed25519", x },
    signature: sign(null, signed, of.privateKey).toString("base64url"),
  };
  using http = new CloudHttp({ url, ca, proxy: of.proxy });
  const answer = await http.send({
    method: "POST",
    path: ENROLMENT_PATH,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(request)),
    maxAnswerBytes: MAX_ANSWER_BYTES,
    timeoutMs: TIMEOUT_MS,
  });
  if (answer.status !== 200) throw refusalOf(answer);
  return await readAnswer(answer.body, token, thumbprintOf(publicKeyOf(of.privateKey)));
}

/**
 * The CA whose hash the token carries. It is fetched over a connection that nothing is trusted of, and no secret sent on: the
 * hash alone decides.
 */
async function pinnedCa(token: EnrolmentToken, address: CloudAddress): Promise<string | undefined> {
  if (token.caSha256 === undefined) return undefined;
  using http = new CloudHttp({ ...address, isUnverified: true });
  const answer = await http.send({
    method: "GET",
    path: ENROLMENT_CA_PATH,
    maxAnswerBytes: MAX_ANSWER_BYTES,
    timeoutMs: TIMEOUT_MS,
  });
  const pem = answer.body.toString("latin1");
  if (answer.status !== 200 || hashOf(pem) !== token.caSha256) {
    throw new ConnectorError(
      "enrolment-ca",
      `${address.url.host} has not the CA that the token names: check the URL, or who answers there`,
    );
  }
  return pem;
}

function hashOf(pem: string): string | undefined {
  try {
    return createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
  } catch {
    return undefined;
  }
}

const problem = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

function refusalOf(answer: CloudAnswer): ConnectorError {
  const told = problem.safeParse(parseJson(answer.body));
  const why = told.success ? told.data.error.message : `HTTP ${answer.status}`;
  return new ConnectorError("enrolment-refused", `the control plane refused: ${why}`, {
    isRetryable: answer.status >= 500 || answer.status === 429,
  });
}

async function readAnswer(
  body: Buffer,
  token: EnrolmentToken,
  ownThumbprint: string,
): Promise<EnrolmentAnswer> {
  const jws = z.object({ jws: z.string() }).safeParse(parseJson(body));
  if (!jws.success) throw new ProtocolError("enrolment-answer", "the answer holds no JWS");
  // The key comes with the answer; the token's thumbprint says whether it is the right one.
  const claimed = enrolmentAnswer.safeParse(payloadOf(jws.data.jws));
  if (!claimed.success || thumbprintOf(claimed.data.tenantKey) !== token.tenantKey) {
    throw new ProtocolError("enrolment-answer", "the answer is not of the token's tenant");
  }
  const verified = await verifyJws(jws.data.jws, JWS_TYPES.enrolment, [claimed.data.tenantKey]);
  const answer = enrolmentAnswer.parse(verified);
  if (answer.sub !== ownThumbprint) {
    throw new ProtocolError("enrolment-answer", "the answer is for another connector");
  }
  parseCloudUrl(answer.linkUrl);
  return answer;
}

function payloadOf(jws: string): unknown {
  return parseJson(Buffer.from(jws.split(".")[1] ?? "", "base64url"));
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

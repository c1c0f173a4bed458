import type { Clock } from "@isthmus/shared/clock";
import type { OutboundAnswer, OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import type { Random } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { findExtension, REVOCATION_REASONS } from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { type DistinguishedName, firstValue } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { z } from "zod";
import type { IssuanceAnswer } from "../core/ports.ts";
import type { ProvisionerKey } from "./provisioner-key.ts";
import {
  certificateOfPem,
  readJson,
  refused,
  statusError,
  unavailable,
  wordsOf,
} from "./remote-answer.ts";
import {
  decimalSerial,
  type RemoteBackEnd,
  type RemoteOrder,
  type RemoteRevocation,
} from "./remote-order.ts";

export interface StepCaParts {
  readonly http: OutboundHttp;
  /** Base addresses: each is an audience of our tokens, for any of its nodes may read them. */
  readonly urls: readonly string[];
  readonly provisioner: string;
  readonly key: ProvisionerKey;
  /** SHA-256 of the root's DER, hex. */
  readonly rootThumbprint: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** A token is used at once. */
const TOKEN_VALIDITY_SECONDS = 300;
const TOKEN_ID_OCTETS = 16;
/** What of the plan the provisioner's template puts into the certificate as it is. */
const PLANNED_EXTENSIONS = [OID.keyUsage, OID.extendedKeyUsage, OID.ntdsCaSecurity];

const health = z.object({ status: z.literal("ok") });
const signed = z.object({ crt: z.string() });
const failure = z.object({ message: z.string() });

/**
 * step-ca over its HTTP API, as a JWK provisioner. The provisioner's template takes subject, names and usages from the
 * claim `isthmus` of our token; step-ca itself insists that `sub` and `sans` are what the request says.
 */
export class StepCaBackEnd implements RemoteBackEnd {
  readonly #parts: StepCaParts;

  constructor(parts: StepCaParts) {
    this.#parts = parts;
  }

  async issue(order: RemoteOrder): Promise<IssuanceAnswer> {
    const { planned, requestPem, signal } = order;
    const template = templateData(planned);
    if (template === undefined) {
      return refused(
        "ca-subject",
        "step-ca cannot be told a subject whose parts hold several values",
      );
    }
    const ott = this.#token("/1.0/sign", {
      ...requestedNames(order),
      sha: this.#parts.rootThumbprint,
      isthmus: template,
    });
    const answer = await this.#post("/1.0/sign", signal, {
      csr: requestPem,
      ott,
      notBefore: new Date(planned.notBefore).toISOString(),
      notAfter: new Date(planned.notAfter).toISOString(),
    });
    if (answer.status === 201) {
      return { kind: "issued", certificate: certificateOfPem(readJson(answer, signed).crt).der };
    }
    if (answer.status === 400 || answer.status === 403) {
      return refused("ca-refused", `step-ca refuses: ${wordsIn(answer)}`);
    }
    throw statusError(answer, wordsIn(answer));
  }

  async revoke({ certificate, reason, signal }: RemoteRevocation): Promise<void> {
    const serial = decimalSerial(certificate);
    const answer = await this.#post("/1.0/revoke", signal, {
      serial,
      ott: this.#token("/1.0/revoke", { sub: serial }),
      reasonCode: REVOCATION_REASONS[reason],
      reason,
      passive: true,
    });
    // 400 to a request in this form: the number is revoked already.
    if (answer.status === 200 || answer.status === 400) return;
    throw statusError(answer, wordsIn(answer));
  }

  async probe(signal: AbortSignal): Promise<readonly Certificate[]> {
    const answer = await this.#parts.http.send({ method: "GET", path: "/health", signal });
    if (answer.status !== 200) throw statusError(answer, wordsIn(answer));
    const result = health.safeParse(readJson(answer, z.unknown()));
    if (!result.success) throw unavailable("step-ca says that it is not healthy");
    return [];
  }

  #post(path: string, signal: AbortSignal, body: unknown): Promise<OutboundAnswer> {
    return this.#parts.http.send({
      method: "POST",
      path,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
  }

  #token(path: string, claims: Readonly<Record<string, unknown>>): string {
    const { provisioner, key, urls, clock, random } = this.#parts;
    const now = Math.floor(clock.now() / 1_000);
    return key.signToken({
      iss: provisioner,
      aud: urls.map((url) => `${url.replace(/\/+$/, "")}${path}`),
      iat: now,
      nbf: now,
      exp: now + TOKEN_VALIDITY_SECONDS,
      jti: random.bytes(TOKEN_ID_OCTETS).toString("hex"),
      ...claims,
    });
  }

  [Symbol.dispose](): void {
    this.#parts.http[Symbol.dispose]();
  }
}

/** `sub` and `sans` as step-ca compares them with the request; what the request leaves open is said by the plan. */
function requestedNames({ request, planned, serialNumber }: RemoteOrder) {
  const requested = plainNames(request.requested.subjectAltNames);
  const sans = requested.length > 0 ? requested : plainNames(planned.subjectAltNames);
  const sub =
    firstValue(request.subject, OID.commonName) ??
    firstValue(planned.subject, OID.commonName) ??
    serialNumber;
  return { sub, ...(sans.length > 0 && { sans: sans.map(({ value }) => value) }) };
}

/** Those that Go knows of. */
function plainNames(names: readonly GeneralName[]) {
  return names.flatMap((name) =>
    name.type === "dns" || name.type === "email" || name.type === "ip" || name.type === "uri"
      ? [{ type: name.type, value: name.value }]
      : [],
  );
}

/** The plan in the words of step-ca's templates; undefined for a subject that these cannot express. */
function templateData({ subject, subjectAltNames, extensions }: Certificate) {
  const names = plainNames(subjectAltNames);
  const isPlain = names.length === subjectAltNames.length;
  const sent = isPlain ? PLANNED_EXTENSIONS : [...PLANNED_EXTENSIONS, OID.subjectAltName];
  const described = describeSubject(subject);
  if (described === undefined) return undefined;
  return {
    subject: described,
    sans: names,
    extensions: sent.flatMap((oid) => {
      const extension = findExtension(extensions, oid);
      if (extension === undefined) return [];
      const { critical, value } = extension;
      return [{ id: oid, critical, value: value.toString("base64") }];
    }),
  };
}

/** Everything as `extraNames`, which keep their order; the common name once more, for step-ca's own policies. */
function describeSubject(subject: DistinguishedName) {
  const extraNames: { type: string; value: string }[] = [];
  for (const [attribute, ...further] of subject.attributes) {
    if (attribute === undefined || attribute.raw !== undefined || further.length > 0)
      return undefined;
    extraNames.push({ type: attribute.type, value: attribute.value });
  }
  const commonName = firstValue(subject, OID.commonName);
  return { ...(commonName !== undefined && { commonName }), extraNames };
}

function wordsIn(answer: OutboundAnswer): string {
  return wordsOf(answer, failure, ({ message }) => message);
}

import { createHmac } from "node:crypto";
import type { OutboundAnswer, OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import {
  type DistinguishedName,
  encodeName,
  firstValue,
  isSameName,
} from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { z } from "zod";
import type { IssuanceAnswer } from "../core/ports.ts";
import {
  certificateOfPem,
  certificatesOfPem,
  readJson,
  refused,
  statusError,
  wordsOf,
} from "./remote-answer.ts";
import {
  decimalSerial,
  type RemoteBackEnd,
  type RemoteOrder,
  type RemoteRevocation,
} from "./remote-order.ts";

export interface CfsslParts {
  readonly http: OutboundHttp;
  readonly profile: string;
  readonly label: string | undefined;
  /** The profile's key of HMAC-SHA-256. */
  readonly authKey: Buffer;
}

const API = "/api/v1/cfssl";
/** CertStoreError, RecordNotFound: there is no certificate with this number and authority key identifier. */
const RECORD_NOT_FOUND = 11_200;

const success = z.object({
  success: z.literal(true),
  result: z.object({ certificate: z.string() }),
});
const failure = z.object({
  errors: z.array(z.object({ code: z.number().optional(), message: z.string() })).max(100),
});

/** The attributes that CFSSL can be told, in the order in which Go writes them. */
const SUBJECT_KEYS: readonly (readonly [
  string,
  "C" | "O" | "OU" | "L" | "ST" | "CN" | "serialNumber",
])[] = [
  [OID.countryName, "C"],
  [OID.organizationName, "O"],
  [OID.organizationalUnitName, "OU"],
  [OID.localityName, "L"],
  [OID.stateOrProvinceName, "ST"],
  [OID.commonName, "CN"],
  [OID.serialNumber, "serialNumber"],
];

/** CFSSL over its HTTP API: requests authenticated by HMAC, names by `subject` and `hosts`, usages by its profile. */
export class CfsslBackEnd implements RemoteBackEnd {
  readonly #parts: CfsslParts;

  constructor(parts: CfsslParts) {
    this.#parts = parts;
  }

  async issue({ planned, requestPem, signal }: RemoteOrder): Promise<IssuanceAnswer> {
    const subject = describeSubject(planned.subject);
    if (subject === undefined) {
      return refused(
        "ca-subject",
        "CFSSL can be told CN, C, O, OU, L, ST and serialNumber, each once, and writes them in an order of its own",
      );
    }
    const hosts = hostsOf(planned);
    if (hosts === undefined) {
      return refused(
        "ca-names",
        "CFSSL can be told DNS names, addresses, mail addresses and URIs only",
      );
    }
    const { profile, label, authKey } = this.#parts;
    const request = JSON.stringify({
      certificate_request: requestPem,
      subject,
      hosts,
      profile,
      ...(label !== undefined && { label }),
      // Passed over by versions that know only their profile's validity.
      not_after: new Date(planned.notAfter).toISOString(),
    });
    const answer = await this.#post("authsign", signal, {
      token: createHmac("sha256", authKey).update(request).digest("base64"),
      request: Buffer.from(request).toString("base64"),
    });
    if (answer.status === 400) return refused("ca-refused", `CFSSL refuses: ${wordsIn(answer)}`);
    return { kind: "issued", certificate: this.#certificateIn(answer).der };
  }

  async revoke({ certificate, reason, signal }: RemoteRevocation): Promise<void> {
    const keyIdentifier = certificate.authorityKeyIdentifier?.toString("hex") ?? "";
    // A CFSSL built with Go 1.15 or later, up to its own 1.5, keeps its certificates without the identifier.
    for (const authorityKeyId of [keyIdentifier, ""]) {
      const answer = await this.#post("revoke", signal, {
        serial: decimalSerial(certificate),
        authority_key_id: authorityKeyId,
        reason,
      });
      if (answer.status === 200) return;
      if (!isUnknownRecord(answer) || authorityKeyId === "") {
        throw statusError(answer, wordsIn(answer));
      }
    }
  }

  async probe(signal: AbortSignal): Promise<readonly Certificate[]> {
    const { profile, label = "" } = this.#parts;
    const answer = await this.#post("info", signal, { label, profile });
    if (answer.status !== 200) throw statusError(answer, wordsIn(answer));
    return certificatesOfPem(readJson(answer, success).result.certificate);
  }

  #certificateIn(answer: OutboundAnswer): Certificate {
    if (answer.status !== 200) throw statusError(answer, wordsIn(answer));
    return certificateOfPem(readJson(answer, success).result.certificate);
  }

  #post(endpoint: string, signal: AbortSignal, body: unknown): Promise<OutboundAnswer> {
    return this.#parts.http.send({
      method: "POST",
      path: `${API}/${endpoint}`,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
  }

  [Symbol.dispose](): void {
    this.#parts.http[Symbol.dispose]();
  }
}

/** As CFSSL wants it; undefined where what it would write is another name. */
function describeSubject(subject: DistinguishedName) {
  const known = SUBJECT_KEYS.flatMap(([type, key]) => {
    const value = firstValue(subject, type);
    return value === undefined ? [] : [{ type, key, value }];
  });
  const written = encodeName(known.map(({ type, value }) => [{ type, value }]));
  if (!isSameName(written, subject)) return undefined;
  const names = known
    .filter(({ key }) => key !== "CN" && key !== "serialNumber")
    .map(({ key, value }) => ({ [key]: value }));
  return {
    CN: firstValue(subject, OID.commonName) ?? "",
    names,
    SerialNumber: firstValue(subject, OID.serialNumber) ?? "",
  };
}

function hostsOf({ subjectAltNames }: Certificate): string[] | undefined {
  const hosts: string[] = [];
  for (const name of subjectAltNames) {
    if (name.type === "upn" || name.type === "other" || name.type === "directory") return undefined;
    hosts.push(name.value);
  }
  return hosts;
}

function isUnknownRecord(answer: OutboundAnswer): boolean {
  try {
    return readJson(answer, failure).errors.some(({ code }) => code === RECORD_NOT_FOUND);
  } catch {
    return false;
  }
}

function wordsIn(answer: OutboundAnswer): string {
  return wordsOf(answer, failure, ({ errors }) => errors[0]?.message);
}

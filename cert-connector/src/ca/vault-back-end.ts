import type { OutboundAnswer } from "@isthmus/shared/kernel/outbound-http";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { firstValue } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { z } from "zod";
import type { IssuanceAnswer } from "../core/ports.ts";
import {
  certificateOfPem,
  certificatesOfPem,
  readJson,
  refused,
  statusError,
  unavailable,
} from "./remote-answer.ts";
import type { RemoteBackEnd, RemoteOrder, RemoteRevocation } from "./remote-order.ts";
import { type VaultSession, vaultWords } from "./vault-session.ts";

export interface VaultParts {
  readonly session: VaultSession;
  readonly mount: string;
  readonly role: string;
  readonly issuerRef: string | undefined;
  readonly sign: "role" | "verbatim";
}

const signed = z.object({ data: z.object({ certificate: z.string() }) });
const revoked = z.object({ data: z.object({ revocation_time: z.number() }) });
const issuer = z.object({ data: z.object({ certificate: z.string() }) });

/** The PKI secrets engine of HashiCorp Vault and OpenBao: a role decides, names are told beside the request. */
export class VaultBackEnd implements RemoteBackEnd {
  readonly #parts: VaultParts;

  constructor(parts: VaultParts) {
    this.#parts = parts;
  }

  async issue({ planned, requestPem, signal }: RemoteOrder): Promise<IssuanceAnswer> {
    const names = this.#parts.sign === "role" ? namesOf(planned) : {};
    if (names === undefined) {
      return refused(
        "ca-names",
        "Vault can be told DNS names, addresses, mail addresses, URIs and user principal names only",
      );
    }
    const answer = await this.#parts.session.send(
      this.#signPath(),
      {
        csr: requestPem,
        format: "pem",
        not_after: `${new Date(planned.notAfter).toISOString().slice(0, 19)}Z`,
        ...names,
      },
      signal,
    );
    if (answer.status === 400) return refused("ca-refused", `Vault refuses: ${vaultWords(answer)}`);
    if (answer.status !== 200) throw statusError(answer, vaultWords(answer));
    const { certificate } = readJson(answer, signed).data;
    return { kind: "issued", certificate: certificateOfPem(certificate).der };
  }

  async revoke({ certificate, signal }: RemoteRevocation): Promise<void> {
    const { session, mount } = this.#parts;
    const serial = certificate.serialNumber.match(/../g)?.join(":") ?? "";
    const answer = await session.send(`${mount}/revoke`, { serial_number: serial }, signal);
    if (answer.status !== 200) throw statusError(answer, vaultWords(answer));
    readJson(answer, revoked);
  }

  async probe(signal: AbortSignal): Promise<readonly Certificate[]> {
    const { session, mount, issuerRef = "default" } = this.#parts;
    const health = await session.read("sys/health?standbyok=true&perfstandbyok=true", signal);
    if (health.status !== 200) throw unavailable(healthTrouble(health));
    await session.keepAlive(signal);
    const answer = await session.read(`${mount}/issuer/${issuerRef}/json`, signal);
    // Before Vault 1.11 a mount has one issuer and no such address.
    if (answer.status !== 200) return [];
    return certificatesOfPem(readJson(answer, issuer).data.certificate);
  }

  #signPath(): string {
    const { mount, role, issuerRef, sign } = this.#parts;
    const base = issuerRef === undefined ? mount : `${mount}/issuer/${issuerRef}`;
    return `${base}/${sign === "role" ? "sign" : "sign-verbatim"}/${role}`;
  }

  [Symbol.dispose](): void {
    this.#parts.session[Symbol.dispose]();
  }
}

/** Status codes of `/sys/health`. */
function healthTrouble({ status }: OutboundAnswer): string {
  if (status === 503) return "Vault is sealed";
  if (status === 501) return "Vault is not initialised";
  if (status === 429 || status === 472 || status === 473) return "this Vault node is a standby";
  return `Vault's health answers ${status}`;
}

/** The plan's names as parameters; undefined where Vault has no word for one of them. */
function namesOf({ subject, subjectAltNames }: Certificate) {
  const of = (...types: GeneralName["type"][]) =>
    subjectAltNames.flatMap((name) =>
      types.includes(name.type) && typeof name.value === "string" ? [name.value] : [],
    );
  const isKnown = subjectAltNames.every(({ type }) => type !== "other" && type !== "directory");
  if (!isKnown) return undefined;
  const upns = of("upn").map((upn) => `${OID.userPrincipalName};UTF8:${upn}`);
  return {
    common_name: firstValue(subject, OID.commonName) ?? "",
    // The common name is a name for people here, not a host's.
    exclude_cn_from_sans: true,
    serial_number: firstValue(subject, OID.serialNumber) ?? "",
    alt_names: of("dns", "email").join(","),
    ip_sans: of("ip"),
    uri_sans: of("uri"),
    other_sans: upns,
    user_ids: subject.attributes
      .flat()
      .filter(({ type }) => type === OID.userId)
      .map(({ value }) => value),
  };
}

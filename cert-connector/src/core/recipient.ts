import { RefusalError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import type { Grant } from "./grant.ts";
import type { Ledger } from "./ledger.ts";

/** Which key a private key is encrypted to, as a command names it. */
export type RecipientReference =
  /** A certificate that this connector issued to the device. */
  | { readonly kind: "issued"; readonly serialNumber: string }
  /** A certificate, DER, whose thumbprint the local guardrails list. */
  | { readonly kind: "listed"; readonly certificate: Uint8Array };

/** A key that may read a private key of this device. */
export interface Recipient {
  readonly certificate: Certificate;
  /** What the certificate was issued for; unknown of a listed one. */
  readonly grant: Grant | undefined;
}

export interface RecipientRules {
  /** SHA-256 of certificates that a person on this host has listed, lower-case hex. */
  readonly listed: readonly string[];
  /** Whether what this connector issued to a device may receive for that device. */
  readonly fromLedger: boolean;
}

/**
 * The recipient of a device's private key. Its public key comes from this connector's own ledger, where it stands for the
 * same device, or is listed by a person on this host: a key that the cloud alone speaks for would let it read what it
 * carries. Throws RefusalError `recipient-unknown`, `recipient-revoked`, `recipient-expired`, `recipient-key`.
 */
export async function recipientFor(
  reference: RecipientReference,
  deviceId: string,
  parts: {
    readonly ledger: Pick<Ledger, "findCertificates">;
    readonly rules: RecipientRules;
    readonly now: number;
  },
): Promise<Recipient> {
  const recipient =
    reference.kind === "listed"
      ? listedRecipient(reference.certificate, parts.rules)
      : await issuedRecipient(reference, deviceId, parts);
  refuseUnusable(recipient.certificate, parts.now);
  return recipient;
}

function listedRecipient(der: Uint8Array, { listed }: RecipientRules): Recipient {
  const certificate = parseCertificate(der);
  if (listed.includes(certificate.thumbprint)) return { certificate, grant: undefined };
  throw refusal(
    "unknown",
    "The guardrails do not list the recipient's certificate under recipients.thumbprints; one of this connector is named by its serial number",
  );
}

async function issuedRecipient(
  { serialNumber }: Extract<RecipientReference, { kind: "issued" }>,
  deviceId: string,
  {
    ledger,
    rules,
  }: { readonly ledger: Pick<Ledger, "findCertificates">; readonly rules: RecipientRules },
): Promise<Recipient> {
  if (!rules.fromLedger) {
    throw refusal(
      "unknown",
      "The guardrails allow recipients under recipients.thumbprints only: that this connector issued the certificate is not enough",
    );
  }
  const issued = await ledger.findCertificates(serialNumber);
  const found = issued.find(({ grant }) => grant.deviceId === deviceId);
  if (found === undefined) {
    throw refusal("unknown", `This connector issued no certificate ${serialNumber} to ${deviceId}`);
  }
  if (found.revokedAt !== undefined) {
    throw refusal("revoked", `Certificate ${serialNumber} of ${deviceId} is revoked`);
  }
  return { certificate: parseCertificate(found.certificate), grant: found.grant };
}

function refuseUnusable(certificate: Certificate, now: number): void {
  const { notBefore, notAfter, keyUsage } = certificate;
  if (now < notBefore || now > notAfter) {
    throw refusal("expired", "The recipient's certificate is not valid now");
  }
  if (certificate.publicKey().asymmetricKeyType !== "rsa") {
    throw refusal("key", "The recipient's key is not RSA: nothing can be encrypted to it");
  }
  if (keyUsage !== undefined && !keyUsage.includes("keyEncipherment")) {
    throw refusal("key", "The recipient's certificate is not for keyEncipherment");
  }
}

function refusal(what: string, message: string): RefusalError {
  return new RefusalError(`recipient-${what}`, "certificates.recipients", message);
}

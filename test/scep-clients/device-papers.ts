import { createHash, createPublicKey, type KeyObject, sign as signNow } from "node:crypto";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import {
  bitString,
  element,
  explicit,
  ia5String,
  implicit,
  integer,
  nullValue,
  objectIdentifier,
  printableString,
  sequence,
  setOf,
  sorted,
  time,
} from "@isthmus/shared/x509/der-writer";
import {
  type Extension,
  encodeExtensions,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/** Certification requests and self-signed certificates as clients write them. */

const YEAR_MS = 365 * 86_400_000;
const SIGNATURES = {
  sha1: OID.sha1WithRSAEncryption,
  sha256: OID.sha256WithRSAEncryption,
} as const;
type Digest = keyof typeof SIGNATURES;

/** What Windows adds to its requests: the system's version, and who asks. */
const WINDOWS_VERSION = "1.3.6.1.4.1.311.13.2.3";
const WINDOWS_CLIENT_INFO = "1.3.6.1.4.1.311.21.20";

export interface PapersOrder {
  readonly key: KeyObject;
  readonly subject: string;
  readonly challengePassword: string | undefined;
  readonly now: number;
  readonly digest?: Digest;
  /** Whose habits the papers follow. */
  readonly habit: "plain" | "apple" | "windows";
}

export function transactionIdOf(key: KeyObject): string {
  const info = createPublicKey(key).export({ type: "spki", format: "der" });
  return createHash("sha1").update(info).digest("hex").toUpperCase();
}

/** A PKCS#10 request. */
export function certificationRequest(order: PapersOrder): Buffer {
  const attribute = (type: string, value: Buffer) => sequence(objectIdentifier(type), setOf(value));
  const { challengePassword, habit } = order;
  const attributes = [
    ...(challengePassword === undefined
      ? []
      : [attribute(OID.challengePassword, directoryString(challengePassword))]),
    ...(habit === "plain"
      ? []
      : [attribute(OID.extensionRequest, encodeExtensions(wished(order)))]),
    ...(habit === "windows" ? windowsAttributes().map((each) => attribute(...each)) : []),
  ];
  const info = sequence(
    integer(0),
    parseNameText(order.subject).der,
    publicKeyInfo(order.key),
    implicit(0, Buffer.concat(sorted(attributes)), true),
  );
  return signed(info, order);
}

/** PrintableString where it can hold the text, as RFC 2985 section 5.4.1 prefers. */
function directoryString(text: string): Buffer {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text) ? printableString(text) : utf8(text);
}

function wished({ subject }: PapersOrder): Extension[] {
  const name = subject.replace(/^CN=/, "");
  return [
    keyUsageExtension(["digitalSignature", "keyEncipherment"]),
    subjectAltNameExtension([{ type: "dns", value: `${name}.example.com` }]),
  ];
}

function windowsAttributes(): [string, Buffer][] {
  const clientInfo = sequence(
    integer(9),
    ...["laptop", "DOMAIN\\user", "dmcertinst.exe"].map(utf8),
  );
  return [
    [WINDOWS_VERSION, ia5String("10.0.26100.2")],
    [WINDOWS_CLIENT_INFO, clientInfo],
  ];
}

const utf8 = (text: string) => element(0x0c, Buffer.from(text));

/**
 * The certificate that signs a first message. Windows marks the authority key identifier in it as critical, which RFC 5280
 * section 4.2.1.1 forbids.
 */
export function selfSignedCertificate(order: PapersOrder): Certificate {
  const name = parseNameText(order.subject).der;
  const keyIdentifier = createHash("sha1").update(publicKeyInfo(order.key)).digest();
  const critical: Extension = {
    oid: OID.authorityKeyIdentifier,
    critical: true,
    value: sequence(implicit(0, keyIdentifier)),
  };
  const usage = keyUsageExtension(["digitalSignature", "keyEncipherment"]);
  const extensions = order.habit === "windows" ? [usage, critical] : [usage];
  const tbs = sequence(
    explicit(0, integer(2)),
    integer(Buffer.from(transactionIdOf(order.key).slice(0, 16), "hex")),
    algorithm(order),
    name,
    sequence(time(order.now - 86_400_000), time(order.now + YEAR_MS)),
    name,
    publicKeyInfo(order.key),
    explicit(3, encodeExtensions(extensions)),
  );
  return parseCertificate(signed(tbs, order));
}

function signed(body: Buffer, order: PapersOrder): Buffer {
  const signature = signNow(order.digest ?? "sha256", body, order.key);
  return sequence(body, algorithm(order), bitString(signature));
}

function algorithm({ digest = "sha256" }: PapersOrder): Buffer {
  return sequence(objectIdentifier(SIGNATURES[digest]), nullValue());
}

function publicKeyInfo(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { type CliCall, type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { systemRandom } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import type { Subtree } from "@isthmus/shared/x509/name-constraints";
import { formatName } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";
import { issueSubordinate, newSerialNumber } from "../ca/authority-certificates.ts";
import { readSubordinateRequest, requireSubordinate } from "../ca/subordinate-request.ts";
import { EXTENDED_KEY_USAGE_OIDS, type ExtendedKeyUsage } from "../core/profile.ts";
import { recordCaAct } from "./ca-record.ts";
import { openRoot, ROOT_OPTIONS } from "./ca-root-key.ts";

const YEAR_MS = 365 * 86_400_000;
/** Own limits on what is asked for. */
const MAX_YEARS = 20;
const MAX_PATH_LENGTH = 8;
const MAX_REQUEST_BYTES = 131_072;

/** Names that an authority is allowed to certify, for every command that makes one. */
export const NAME_OPTIONS = {
  "permit-dns": {
    type: "string",
    valueName: "DOMAIN",
    summary: "name constraint: DNS names below this domain only; may be repeated",
    isRepeatable: true,
  },
  "permit-email": {
    type: "string",
    valueName: "DOMAIN",
    summary: "name constraint: mail addresses of this host or .domain only; may be repeated",
    isRepeatable: true,
  },
} as const;

export function permittedNames(call: CliCall): Subtree[] {
  return [
    ...call.list("permit-dns").map((value) => ({ type: "dns", value }) as const),
    ...call.list("permit-email").map((value) => ({ type: "email", value }) as const),
  ];
}

export const signCsrCommand: CliCommand = {
  name: "sign-csr",
  summary:
    "sign the request of an issuing CA elsewhere with the root, e.g. of a cloud PKI that takes one's own root",
  options: {
    ...ROOT_OPTIONS,
    out: {
      type: "string",
      valueName: "PATH",
      summary: "where its certificate goes, in PEM",
      isRequired: true,
    },
    "chain-out": {
      type: "string",
      valueName: "PATH",
      summary: "where its certificate and the root's go together, as cloud PKIs ask for",
    },
    years: { type: "string", valueName: "N", summary: "how long it is valid", default: "5" },
    "path-length": {
      type: "string",
      valueName: "N",
      summary: "how many authorities may stand below it",
      default: "0",
    },
    eku: {
      type: "string",
      summary: "allow only certificates with this usage below it; may be repeated",
      values: Object.keys(EXTENDED_KEY_USAGE_OIDS),
      isRepeatable: true,
    },
    ...NAME_OPTIONS,
    "public-url": {
      type: "string",
      valueName: "URL",
      summary: "where this connector's /crl and /ca are reached: put into the certificate",
    },
  },
  positionals: [{ name: "file", summary: "the request, PKCS#10 in PEM or DER" }],
  run: signCsr,
};

async function signCsr(call: CliCall) {
  const [file = ""] = call.positionals;
  const out = call.required("out");
  const chainOut = call.text("chain-out");
  refuseExisting([out, chainOut]);
  await using resources = new AsyncDisposableStack();
  const request = readSubordinateRequest(readBounded(file));
  const root = await openRoot(call, resources);
  const now = systemClock.now();
  const pathLength = wholeNumber(call, "path-length", 0, MAX_PATH_LENGTH);
  const validityMs = wholeNumber(call, "years", 1, MAX_YEARS) * YEAR_MS;
  requireSubordinate(request, { root: root.certificate, pathLength, now, validityMs });
  const serialNumber = newSerialNumber(systemRandom);
  const subject = formatName(request.subject);
  const issuer = formatName(root.certificate.subject);
  // On record first: a signature of the root that nobody knows of must not exist.
  const isRecorded = await recordCaAct(call.text("config"), {
    event: "ca.subordinate",
    payload: { serialNumber, subject, issuer, pathLength, notAfter: now + validityMs },
  });
  const der = await issueSubordinate({
    root,
    subject: request.subject,
    publicKeyInfo: request.publicKeyInfo,
    serialNumber,
    validityMs,
    pathLength,
    keyUsage: ["digitalSignature", "keyCertSign", "cRLSign"],
    extendedKeyUsage: call
      .list("eku")
      .map((name) => EXTENDED_KEY_USAGE_OIDS[name as ExtendedKeyUsage]),
    permitted: permittedNames(call),
    publicUrl: publicUrl(call),
    now,
    random: systemRandom,
  });
  const pem = derToPem(der, "CERTIFICATE");
  const chain = pem + derToPem(root.certificate.der, "CERTIFICATE");
  writeFileSync(out, pem, { flag: "wx", mode: 0o644 });
  if (chainOut !== undefined) writeFileSync(chainOut, chain, { flag: "wx", mode: 0o644 });
  const asked = request.requested.extendedKeyUsage ?? [];
  const lines = [
    `${subject}: serial number ${serialNumber}, until ${new Date(parseCertificate(der).notAfter).toISOString()}.`,
    isRecorded ? "It is in the audit." : "There is no state folder here, so it is in no audit.",
    ...(asked.length > 0 && call.list("eku").length === 0
      ? [`The request asks for extended key usages (${asked.join(", ")}); --eku gives them.`]
      : []),
  ];
  return {
    text: lines.join("\n"),
    value: { serialNumber, subject, issuer, pem, chain, isRecorded },
  };
}

/** Reads a file that a person gave. Throws ConnectorError `file-unreadable`. */
function readBounded(file: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (cause) {
    throw new ConnectorError("file-unreadable", `${file} cannot be read`, { cause });
  }
  if (content.length <= MAX_REQUEST_BYTES) return content;
  throw new ConnectorError(
    "file-unreadable",
    `${file} has ${content.length} bytes, over ${MAX_REQUEST_BYTES}`,
  );
}

export function refuseExisting(files: readonly (string | undefined)[]): void {
  const existing = files.find((file) => file !== undefined && existsSync(file));
  if (existing !== undefined) {
    throw new ConnectorError("file-exists", `${existing} exists, and is not overwritten`);
  }
}

function publicUrl(call: CliCall): string | undefined {
  const text = call.text("public-url");
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:") return text.replace(/\/+$/, "");
  throw new UsageError(`--public-url ${text}: expected an http:// address (RFC 5280 section 8)`);
}

export function wholeNumber(call: CliCall, option: string, least: number, most: number): number {
  const text = call.required(option);
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new UsageError(`--${option} ${text}: expected a whole number from ${least} to ${most}`);
}

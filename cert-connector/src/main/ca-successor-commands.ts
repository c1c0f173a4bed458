import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@isthmus/shared/clock";
import { type CliCall, type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import { systemRandom } from "@isthmus/shared/random";
import type { Revocation } from "@isthmus/shared/x509/certificate-list";
import { REVOCATION_REASONS, type RevocationReason } from "@isthmus/shared/x509/extensions";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import type { Subtree } from "@isthmus/shared/x509/name-constraints";
import { formatName } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";
import {
  commonName,
  ISSUING_VALIDITY_MS,
  issueSubordinate,
  newSerialNumber,
} from "../ca/authority-certificates.ts";
import { AUTHORITY_FILES, readAuthorityCertificates } from "../ca/authority-folder.ts";
import {
  AUTHORITY_ALGORITHMS,
  type AuthorityAlgorithm,
  type KeyPlace,
  keyInFile,
  keyUnderLabel,
} from "../ca/authority-keys.ts";
import { signRootList } from "../ca/root-list.ts";
import { recordCaAct } from "./ca-record.ts";
import { openRoot, ROOT_OPTIONS } from "./ca-root-key.ts";
import { NAME_OPTIONS, permittedNames, refuseExisting } from "./ca-sign-commands.ts";
import { openHsm } from "./hsm.ts";
import { loadLocal } from "./load-local.ts";

export const nextCommand: CliCommand = {
  name: "next",
  summary: "make the issuing CA that will follow, which devices then learn by GetNextCACert",
  options: {
    ...ROOT_OPTIONS,
    config: CONFIG_OPTION,
    name: {
      type: "string",
      valueName: "NAME",
      summary: "e.g. Contoso Devices 2: it becomes CN=<name> Issuing CA",
      isRequired: true,
    },
    algorithm: {
      type: "string",
      summary: "of its key",
      values: AUTHORITY_ALGORITHMS,
      default: "rsa-3072",
    },
    "key-label": {
      type: "string",
      valueName: "LABEL",
      summary: "make its key in the token of ca.hsm under this label; in the folder otherwise",
    },
    ...NAME_OPTIONS,
  },
  run: makeNext,
};

async function makeNext(call: CliCall) {
  const config = call.required("config");
  const local = loadLocal(config);
  const at = (name: string) => join(local.ca.folder, name);
  const [file, keyFile] = [at(AUTHORITY_FILES.next), at(AUTHORITY_FILES.nextKey)];
  refuseExisting([file, keyFile]);
  const { issuing } = readAuthorityCertificates(local.ca.folder);
  await using resources = new AsyncDisposableStack();
  const root = await openRoot(call, resources);
  const place = await placeOfNext(call, keyFile, resources);
  const subject = commonName(`${call.required("name")} Issuing CA`);
  const serialNumber = newSerialNumber(systemRandom);
  await recordCaAct(config, {
    event: "ca.successor",
    payload: { serialNumber, subject: formatName(subject) },
  });
  const made = await place.make(call.required("algorithm") as AuthorityAlgorithm, false);
  const given = permittedNames(call);
  const inherited: readonly Subtree[] = issuing.nameConstraints?.permitted ?? [];
  const der = await issueSubordinate({
    root,
    subject,
    publicKeyInfo: publicKeyInfoOf(made.key),
    serialNumber,
    validityMs: ISSUING_VALIDITY_MS,
    pathLength: 0,
    keyUsage: ["digitalSignature", "keyCertSign", "cRLSign"],
    extendedKeyUsage: [],
    permitted: given.length === 0 ? inherited : given,
    now: systemClock.now(),
    random: systemRandom,
  });
  made.store();
  const pem = [der, root.certificate.der].map((each) => derToPem(each, "CERTIFICATE")).join("");
  writeFileSync(file, pem, { flag: "wx", mode: 0o644 });
  const text = `${formatName(subject)} is in ${file}. Restart the service, and devices learn it by GetNextCACert.`;
  return { text, value: { serialNumber, file } };
}

async function placeOfNext(
  call: CliCall,
  keyFile: string,
  resources: AsyncDisposableStack,
): Promise<KeyPlace> {
  const { ca, stateFolder } = loadLocal(call.required("config"));
  const label = call.text("key-label");
  if (label === undefined) return keyInFile(keyFile, readSecretFile(ca.passphraseFile));
  if (ca.hsm === undefined) throw new UsageError("--key-label needs ca.hsm in the configuration");
  return keyUnderLabel(resources.use(await openHsm(ca.hsm, stateFolder)), label);
}

export const rootListCommand: CliCommand = {
  name: "root-list",
  summary: "sign the root's own revocation list anew, e.g. to revoke an issuing CA below it",
  options: {
    ...ROOT_OPTIONS,
    config: CONFIG_OPTION,
    revoke: {
      type: "string",
      valueName: "HEX",
      summary: "the serial number of an authority that the root signed; may be repeated",
      isRepeatable: true,
    },
    reason: {
      type: "string",
      summary: "of those, as in RFC 5280 section 5.3.1",
      values: Object.keys(REVOCATION_REASONS).filter((name) => name !== "removeFromCRL"),
      default: "cACompromise",
    },
  },
  run: makeRootList,
};

async function makeRootList(call: CliCall) {
  const config = call.required("config");
  const { ca } = loadLocal(config);
  const { rootList } = readAuthorityCertificates(ca.folder);
  await using resources = new AsyncDisposableStack();
  const root = await openRoot(call, resources);
  const now = systemClock.now();
  const revoked = new Map<string, Revocation>(rootList?.revoked);
  for (const serialNumber of call.list("revoke").map(asSerialNumber)) {
    const reason = call.required("reason") as RevocationReason;
    if (!revoked.has(serialNumber)) revoked.set(serialNumber, { revokedAt: now, reason });
  }
  const number = (rootList?.crlNumber ?? 0n) + 1n;
  const revokedSerials = [...revoked.keys()].join(" ");
  await recordCaAct(config, {
    event: "ca.root-list",
    payload: { number: Number(number), revoked: revokedSerials },
  });
  const entries = [...revoked].map(([serialNumber, of]) => ({ serialNumber, ...of }));
  const der = await signRootList({
    root,
    number,
    revoked: entries,
    now,
    validityMs: ISSUING_VALIDITY_MS,
  });
  const file = join(ca.folder, AUTHORITY_FILES.rootList);
  writeFileAtomically(file, derToPem(der, "X509 CRL"), 0o644);
  const text = `List ${number} with ${revoked.size} revoked is in ${file}. Restart the service to publish it.`;
  return { text, value: { number: Number(number), revoked: [...revoked.keys()], file } };
}

function asSerialNumber(text: string): string {
  const hex = text.toLowerCase().replaceAll(":", "");
  if (/^(?:[0-9a-f]{2}){1,20}$/.test(hex)) return hex;
  throw new UsageError(`--revoke ${text}: expected up to 40 hexadecimal digits`);
}

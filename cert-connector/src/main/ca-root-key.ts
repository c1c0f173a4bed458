import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { type CliCall, type CliOption, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { AUTHORITY_FILES, type KeyedCertificate } from "../ca/authority-folder.ts";
import { readEncryptedKey } from "../ca/encrypted-key.ts";
import { keyOfCertificate } from "../ca/hsm-key.ts";
import { openHsm } from "./hsm.ts";
import { loadLocal } from "./load-local.ts";

/** Where a command finds the root's certificate and its key, which it uses once and forgets. */
export const ROOT_OPTIONS: Readonly<Record<string, CliOption>> = {
  config: { ...CONFIG_OPTION, isRequired: false },
  "root-cert": {
    type: "string",
    valueName: "PATH",
    summary: "the root's certificate; root.pem of ca.folder where it is not given",
  },
  "root-key": {
    type: "string",
    valueName: "PATH",
    summary: "the root's private key, as `ca init` wrote it",
  },
  "root-passphrase-file": {
    type: "string",
    valueName: "PATH",
    summary: "its passphrase; that of the CA where it is not given",
  },
  "root-key-label": {
    type: "string",
    valueName: "LABEL",
    summary: "the root's key in the token of ca.hsm, instead of --root-key",
  },
};

/** Throws ConnectorError `root-key-mismatch`, `key-unreadable`, `authority-missing`, `hsm-*`. */
export async function openRoot(
  call: CliCall,
  resources: AsyncDisposableStack,
): Promise<KeyedCertificate> {
  const certificate = rootCertificate(call);
  const label = call.text("root-key-label");
  const file = call.text("root-key");
  if ((label === undefined) === (file === undefined)) {
    throw new UsageError("either --root-key or --root-key-label has to be given");
  }
  if (label !== undefined) return await rootInToken(call, label, certificate, resources);
  const passphraseFile = call.text("root-passphrase-file") ?? localOf(call)?.ca.passphraseFile;
  if (passphraseFile === undefined) {
    throw new UsageError("--root-key needs --root-passphrase-file, or --config");
  }
  const key = readEncryptedKey(file ?? "", readSecretFile(passphraseFile));
  if (publicKeyInfoOf(key).equals(certificate.publicKeyInfo)) return { certificate, key };
  throw new ConnectorError("root-key-mismatch", `${file} is not the key of the root's certificate`);
}

async function rootInToken(
  call: CliCall,
  label: string,
  certificate: Certificate,
  resources: AsyncDisposableStack,
): Promise<KeyedCertificate> {
  const local = localOf(call);
  if (local?.ca.hsm === undefined) {
    throw new UsageError("--root-key-label needs --config with ca.hsm");
  }
  const hsm = resources.use(await openHsm(local.ca.hsm, local.stateFolder));
  return { certificate, key: await keyOfCertificate(hsm, { label }, certificate) };
}

function rootCertificate(call: CliCall): Certificate {
  const folder = localOf(call)?.ca.folder;
  const file = call.text("root-cert") ?? (folder && join(folder, AUTHORITY_FILES.root));
  if (file === undefined) throw new UsageError("--root-cert has to be given, or --config");
  const [der] = pemToDer(readText(file), "CERTIFICATE");
  if (der !== undefined) return parseCertificate(der);
  throw new ConnectorError("authority-missing", `${file} holds no certificate`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConnectorError("file-unreadable", `${file} cannot be read`, { cause });
  }
}

/** The configuration a command was given, if it was. */
export function localOf(call: CliCall) {
  const file = call.text("config");
  return file === undefined ? undefined : loadLocal(file);
}

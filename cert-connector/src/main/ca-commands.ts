import { systemClock } from "@isthmus/shared/clock";
import { type CliCall, type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION, loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { systemRandom } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { Subtree } from "@isthmus/shared/x509/name-constraints";
import { formatName } from "@isthmus/shared/x509/name-text";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { readAuthorityFolder } from "../ca/authority-folder.ts";
import { AUTHORITY_ALGORITHMS, type AuthorityAlgorithm } from "../ca/authority-keys.ts";
import { createAuthority } from "../ca/create-authority.ts";
import { readOrMakePassphrase } from "../ca/encrypted-key.ts";
import { localConfiguration } from "../config/local-configuration.ts";
import { backUp, restore } from "./backup.ts";

const init: CliCommand = {
  name: "init",
  summary:
    "make a root, an issuing CA and the SCEP RA; the root's key is written once, to be kept elsewhere",
  options: {
    config: { ...CONFIG_OPTION, isRequired: false },
    folder: {
      type: "string",
      valueName: "PATH",
      summary: "where the CA goes, instead of the configuration's ca.folder",
    },
    "passphrase-file": {
      type: "string",
      valueName: "PATH",
      summary: "its passphrase, instead of ca.passphraseFile; made where it is missing",
    },
    name: { type: "string", valueName: "NAME", summary: "e.g. Contoso Devices", isRequired: true },
    algorithm: {
      type: "string",
      summary: "of the CA keys; the RA is RSA in any case",
      values: AUTHORITY_ALGORITHMS,
      default: "rsa-3072",
    },
    "root-key-out": {
      type: "string",
      valueName: "PATH",
      summary: "where the root's private key is written, encrypted",
      isRequired: true,
    },
    "root-passphrase-file": {
      type: "string",
      valueName: "PATH",
      summary: "the passphrase of the root's key; that of the CA where it is not given",
    },
    "own-ra": {
      type: "boolean",
      summary: "let the issuing CA open SCEP messages itself, for caCertificates single; RSA only",
    },
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
  },
  run: initialize,
};

async function initialize(call: CliCall) {
  const { folder, passphraseFile } = authorityPlace(call);
  const passphrase = readOrMakePassphrase(passphraseFile);
  const rootPassphraseFile = call.text("root-passphrase-file");
  const rootKeyFile = call.required("root-key-out");
  await createAuthority({
    name: call.required("name"),
    algorithm: call.required("algorithm") as AuthorityAlgorithm,
    folder,
    passphrase,
    rootKeyFile,
    rootPassphrase:
      rootPassphraseFile === undefined ? passphrase : readOrMakePassphrase(rootPassphraseFile),
    permitted: permittedNames(call),
    isOwnRa: call.flag("own-ra"),
    clock: systemClock,
    random: systemRandom,
  });
  return {
    text: `The CA is in ${folder}. Move ${rootKeyFile} to where no network reaches; nothing here needs it.`,
    value: { folder, passphraseFile, rootKeyFile },
  };
}

function authorityPlace(call: CliCall) {
  const configFile = call.text("config");
  const given = configFile === undefined ? undefined : loadLocal(configFile).ca;
  const folder = call.text("folder") ?? given?.folder;
  const passphraseFile = call.text("passphrase-file") ?? given?.passphraseFile;
  if (folder !== undefined && passphraseFile !== undefined) return { folder, passphraseFile };
  throw new UsageError("ca init needs --config, or --folder and --passphrase-file");
}

function permittedNames(call: CliCall): Subtree[] {
  return [
    ...call.list("permit-dns").map((value) => ({ type: "dns", value }) as const),
    ...call.list("permit-email").map((value) => ({ type: "email", value }) as const),
  ];
}

const status: CliCommand = {
  name: "status",
  summary: "show the CA's certificates and how long they last",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const { ca } = loadLocal(call.required("config"));
    const files = readAuthorityFolder(ca.folder, readSecretFile(ca.passphraseFile));
    const certificates = {
      root: described(files.root),
      issuing: described(files.issuing.certificate),
      ra: described(files.ra.certificate),
    };
    const lines = Object.entries(certificates).map(
      ([role, { subject, keyId, validUntil }]) =>
        `${role.padEnd(8)} ${subject}, until ${validUntil}, key ${keyId}`,
    );
    return { text: lines.join("\n"), value: certificates };
  },
};

function described({ subject, serialNumber, notAfter, thumbprint, publicKeyInfo }: Certificate) {
  return {
    subject: formatName(subject),
    serialNumber,
    keyId: keyIdentifierOf(publicKeyInfo).toString("hex"),
    thumbprint,
    validUntil: new Date(notAfter).toISOString(),
  };
}

const backup: CliCommand = {
  name: "backup",
  summary:
    "copy the CA (keys as encrypted as they are) and the ledger, while the service runs or not",
  options: {
    config: CONFIG_OPTION,
    out: {
      type: "string",
      valueName: "PATH",
      summary: "a new folder for the copy",
      isRequired: true,
    },
  },
  run: async (call) => {
    const out = call.required("out");
    const made = backUp(loadLocal(call.required("config")), out, systemClock);
    return {
      text: `Copied to ${out}. The passphrase is not in it: keep that elsewhere, or the copy is of no use.`,
      value: made,
    };
  },
};

const restoreCommand: CliCommand = {
  name: "restore",
  summary:
    "put a backup in place; the service must be stopped, and a newer ledger is never replaced",
  options: {
    config: CONFIG_OPTION,
    from: {
      type: "string",
      valueName: "PATH",
      summary: "the folder that backup made",
      isRequired: true,
    },
  },
  run: async (call) => {
    const from = call.required("from");
    const restored = await restore(loadLocal(call.required("config")), from, systemClock);
    return { text: `Restored from ${from}, made ${restored.createdAt}.`, value: restored };
  },
};

export const caCommands: CliCommand = {
  name: "ca",
  summary: "the embedded certification authority",
  commands: [init, status, backup, restoreCommand],
};

/** The local configuration of this service in a file. */
export function loadLocal(file: string) {
  return loadLocalConfiguration({ localConfiguration }, file);
}

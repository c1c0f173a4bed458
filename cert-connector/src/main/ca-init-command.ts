import { systemClock } from "@isthmus/shared/clock";
import { type CliCall, type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { systemRandom } from "@isthmus/shared/random";
import {
  AUTHORITY_ALGORITHMS,
  type AuthorityAlgorithm,
  keyUnderLabel,
} from "../ca/authority-keys.ts";
import { type AuthorityOrder, createAuthority } from "../ca/create-authority.ts";
import { readOrMakePassphrase } from "../ca/encrypted-key.ts";
import { localOf } from "./ca-root-key.ts";
import { NAME_OPTIONS, permittedNames } from "./ca-sign-commands.ts";
import { openHsm } from "./hsm.ts";

export const initCommand: CliCommand = {
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
    hsm: {
      type: "boolean",
      summary: "make the issuing CA's key, and the RA's if it has a label, in the token of ca.hsm",
    },
    "existing-keys": {
      type: "boolean",
      summary: "with --hsm: use keys that the token has under these labels already",
    },
    "root-key-out": {
      type: "string",
      valueName: "PATH",
      summary: "where the root's private key is written, encrypted",
    },
    "root-key-label": {
      type: "string",
      valueName: "LABEL",
      summary: "with --hsm: make the root's key in the token, too, instead of --root-key-out",
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
    ...NAME_OPTIONS,
  },
  run: initialize,
};

async function initialize(call: CliCall) {
  const { folder, passphraseFile } = authorityPlace(call);
  const rootKeyFile = rootKeyOut(call);
  await using resources = new AsyncDisposableStack();
  const keys = await tokenKeys(call, resources);
  const passphrase = readOrMakePassphrase(passphraseFile);
  const rootPassphraseFile = call.text("root-passphrase-file");
  await createAuthority({
    name: call.required("name"),
    algorithm: call.required("algorithm") as AuthorityAlgorithm,
    folder,
    passphrase,
    rootKeyFile: rootKeyFile ?? "",
    rootPassphrase:
      rootPassphraseFile === undefined ? passphrase : readOrMakePassphrase(rootPassphraseFile),
    keys,
    permitted: permittedNames(call),
    isOwnRa: call.flag("own-ra"),
    clock: systemClock,
    random: systemRandom,
  });
  const rootSentence =
    rootKeyFile === undefined
      ? "The root's key is in the token."
      : `Move ${rootKeyFile} to where no network reaches; nothing here needs it.`;
  return {
    text: `The CA is in ${folder}. ${rootSentence}`,
    value: { folder, passphraseFile, rootKeyFile },
  };
}

function rootKeyOut(call: CliCall): string | undefined {
  const file = call.text("root-key-out");
  const label = call.text("root-key-label");
  if ((file === undefined) === (label === undefined)) {
    throw new UsageError("ca init needs either --root-key-out or, with --hsm, --root-key-label");
  }
  if (label !== undefined && !call.flag("hsm"))
    throw new UsageError("--root-key-label needs --hsm");
  return file;
}

async function tokenKeys(
  call: CliCall,
  resources: AsyncDisposableStack,
): Promise<NonNullable<AuthorityOrder["keys"]>> {
  const local = localOf(call);
  const of = local?.ca.hsm;
  if (!call.flag("hsm")) {
    if (of === undefined) return {};
    throw new UsageError("the configuration has ca.hsm: say --hsm to make keys in that token");
  }
  if (local === undefined || of?.issuingKeyLabel === undefined) {
    throw new UsageError("--hsm needs --config with ca.hsm and its issuingKeyLabel");
  }
  const hsm = resources.use(await openHsm(of, local.stateFolder));
  const mayExist = call.flag("existing-keys");
  const rootLabel = call.text("root-key-label");
  return {
    issuing: keyUnderLabel(hsm, of.issuingKeyLabel, mayExist),
    ...(of.raKeyLabel !== undefined && { ra: keyUnderLabel(hsm, of.raKeyLabel, mayExist) }),
    ...(rootLabel !== undefined && { root: keyUnderLabel(hsm, rootLabel, mayExist) }),
  };
}

function authorityPlace(call: CliCall) {
  const given = localOf(call)?.ca;
  const folder = call.text("folder") ?? given?.folder;
  const passphraseFile = call.text("passphrase-file") ?? given?.passphraseFile;
  if (folder !== undefined && passphraseFile !== undefined) return { folder, passphraseFile };
  throw new UsageError("ca init needs --config, or --folder and --passphrase-file");
}

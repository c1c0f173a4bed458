import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { systemClock } from "@isthmus/shared/clock";
import {
  type CliAnswer,
  type CliCall,
  type CliCommand,
  type CliOption,
  EXIT_FAILED,
  EXIT_OK,
  UsageError,
} from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { createImportKey, readImportPublicKey } from "../ca/import-key.ts";
import { INTENDED_PURPOSES, type IntendedPurpose } from "../core/imported-pfx.ts";
import { PADDING_SCHEMES, type PaddingScheme } from "../protocol/imported-pfx.ts";
import { ask } from "./ask-service.ts";
import {
  connectorDestination,
  controlPlaneDestination,
  fileDestination,
  graphDestination,
} from "./import-destinations.ts";
import { ImportReport } from "./import-report.ts";
import { loadLocal } from "./load-local.ts";
import { type ImportDestination, type ImportItem, importAll, itemsIn } from "./pfx-import.ts";
import { type ImportTarget, makeRecord } from "./pfx-record.ts";
import { DELIVERY_OPTIONS, deliveryTarget, takeDelivery } from "./pkcs-commands.ts";

const KEY_NAME: CliOption = {
  type: "string",
  valueName: "NAME",
  summary: "the import key",
  default: "default",
};

const createKey: CliCommand = {
  name: "create",
  summary: "make an import key; its public half goes to whoever imports elsewhere",
  options: { config: CONFIG_OPTION, name: KEY_NAME },
  run: async (call) => {
    const { ca } = loadLocal(call.required("config"));
    const place = { caFolder: ca.folder, name: call.required("name") };
    const made = await createImportKey(place, readSecretFile(ca.passphraseFile));
    const text = `Import key ${place.name}. Its public key: ${made.publicKeyFile}`;
    return { text, value: { name: place.name, ...made } };
  },
};

const showKey: CliCommand = {
  name: "show",
  summary: "print the public half of an import key",
  options: { config: CONFIG_OPTION, name: KEY_NAME },
  run: async (call) => {
    const { ca } = loadLocal(call.required("config"));
    const name = call.required("name");
    const publicKey = readImportPublicKey({ caFolder: ca.folder, name });
    const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
    return { text: pem.trimEnd(), value: { name, publicKey: pem } };
  },
};

const OPTIONAL_CONFIG = { ...CONFIG_OPTION, isRequired: false };
const path = (summary: string): CliOption => ({ type: "string", valueName: "PATH", summary });
const text = (valueName: string, summary: string): CliOption => ({
  type: "string",
  valueName,
  summary,
});

const importCommand: CliCommand = {
  name: "import",
  summary: "encrypt users' PFX files to an import key and hand them over; run again it goes on",
  options: {
    config: OPTIONAL_CONFIG,
    file: path("one PFX, with --upn"),
    folder: path("or a folder of <user principal name>.pfx, passwords in <same name>.password"),
    "password-file": path("the password of the file, or of all files of the folder"),
    upn: text("NAME", "whose it is: the user principal name"),
    purpose: {
      type: "string",
      summary: "what it is for",
      values: INTENDED_PURPOSES,
      default: "smimeEncryption",
    },
    "key-name": { ...KEY_NAME, summary: "the import key by its name there" },
    "public-key": path("its public half (PEM), instead of the one beside the CA of --config"),
    provider: { ...text("NAME", "the key's provider by its name there"), default: "Isthmus" },
    padding: {
      type: "string",
      summary: "how the password is encrypted",
      values: Object.keys(PADDING_SCHEMES),
      default: "oaepSha512",
    },
    format: {
      type: "string",
      summary: "how the PFX is written anew; legacy for old Apple and Android devices",
      values: ["legacy", "modern"],
      default: "modern",
    },
    "to-graph": text("TENANT", "to Microsoft Graph of this tenant of --config"),
    "to-control-plane": text("URL", "to a control plane, with --token-file"),
    "token-file": path("holds a token of the control plane's /api/session"),
    "ca-file": path("the control plane's CA (PEM)"),
    out: path("to a file, one record a line; without any of the three to the running connector"),
    report: path("what became of each file, JSON lines; what is done there is not done again"),
  },
  run: runImport,
};

async function runImport(call: CliCall): Promise<CliAnswer> {
  using resources = new DisposableStack();
  const target = targetOf(call);
  const intendedPurpose = call.required("purpose") as IntendedPurpose;
  const counts = await importAll(itemsOf(call), {
    make: ({ file, userPrincipalName }, password) => {
      const now = systemClock.now();
      return makeRecord({ file, password, userPrincipalName, intendedPurpose, target, now });
    },
    destination: destinationOf(call, resources),
    report: new ImportReport(call.text("report")),
    clock: systemClock,
    note: (line) => call.note(line),
  });
  const { done, skipped, failed, left } = counts;
  const isWhole = failed === 0 && left === 0;
  return {
    text: `${done} imported, ${skipped} were done before, ${failed} failed, ${left} not tried`,
    value: counts,
    exitCode: isWhole ? EXIT_OK : EXIT_FAILED,
  };
}

function itemsOf(call: CliCall): ImportItem[] {
  const file = call.text("file");
  const folder = call.text("folder");
  const passwordFile = call.text("password-file");
  if ((file === undefined) === (folder === undefined)) {
    throw new UsageError("give either --file or --folder");
  }
  if (file === undefined) return itemsIn(folder ?? "", passwordFile);
  const userPrincipalName = call.text("upn");
  if (userPrincipalName === undefined || passwordFile === undefined) {
    throw new UsageError("--file needs --upn and --password-file");
  }
  return [{ file, userPrincipalName, passwordFile }];
}

function targetOf(call: CliCall): ImportTarget {
  const keyName = call.required("key-name");
  const publicKeyFile = call.text("public-key");
  return {
    publicKey:
      publicKeyFile === undefined
        ? readImportPublicKey({ caFolder: loadLocal(configOf(call)).ca.folder, name: keyName })
        : createPublicKey(readFileSync(publicKeyFile)),
    keyName,
    providerName: call.required("provider"),
    paddingScheme: call.required("padding") as PaddingScheme,
    format: call.required("format") as ImportTarget["format"],
  };
}

function destinationOf(call: CliCall, resources: DisposableStack): ImportDestination {
  const [graph, url, out] = [
    call.text("to-graph"),
    call.text("to-control-plane"),
    call.text("out"),
  ];
  if ([graph, url, out].filter((each) => each !== undefined).length > 1) {
    throw new UsageError("give one of --to-graph, --to-control-plane and --out");
  }
  const note = (line: string) => call.note(line);
  if (graph !== undefined) {
    const tenant = loadLocal(configOf(call)).tenants[graph];
    return graphDestination(graph, tenant, note, resources);
  }
  if (out !== undefined) return fileDestination(out);
  if (url === undefined) return connectorDestination(configOf(call));
  const tokenFile = call.text("token-file");
  if (tokenFile === undefined || !URL.canParse(url)) {
    throw new UsageError("--to-control-plane needs an https address, and --token-file");
  }
  return controlPlaneDestination({ url, tokenFile, caFile: call.text("ca-file") }, note, resources);
}

function configOf(call: CliCall): string {
  const config = call.text("config");
  if (config !== undefined) return config;
  throw new UsageError("this needs --config");
}

interface Listed {
  readonly userPrincipalName: string;
  readonly thumbprint: string;
  readonly intendedPurpose: string;
  readonly notAfter: number;
}

const list: CliCommand = {
  name: "list",
  summary: "show the PFX files that the connector itself keeps",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const kept = (await ask(call.required("config"), "pfx.list", {})) as Listed[];
    const lines = kept.map(
      ({ userPrincipalName, thumbprint, intendedPurpose, notAfter }) =>
        `${userPrincipalName}  ${thumbprint}  ${intendedPurpose}  until ${new Date(notAfter).toISOString()}`,
    );
    return { text: lines.join("\n") || "the connector keeps no PFX", value: kept };
  },
};

const OF_USER = {
  upn: { ...text("NAME", "whose it is"), isRequired: true },
  thumbprint: { ...text("HEX", "SHA-1 of its certificate"), isRequired: true },
};

function pfxNamed(call: CliCall) {
  const thumbprint = call.required("thumbprint").toLowerCase().replaceAll(":", "");
  return { userPrincipalName: call.required("upn"), thumbprint };
}

const remove: CliCommand = {
  name: "remove",
  summary: "forget a PFX that the connector itself keeps",
  options: { config: CONFIG_OPTION, ...OF_USER },
  run: async (call) => {
    const named = pfxNamed(call);
    const value = await ask(call.required("config"), "pfx.remove", named);
    return { text: `${named.thumbprint}: ${(value as { state: string }).state}`, value };
  },
};

const deliver: CliCommand = {
  name: "deliver",
  summary: "encrypt a PFX that the connector keeps to a device of its user",
  options: {
    ...DELIVERY_OPTIONS,
    ...OF_USER,
    format: {
      type: "string",
      summary: "of the PFX",
      values: ["legacy", "modern"],
      default: "modern",
    },
  },
  run: (call) =>
    takeDelivery(call, "pfx.deliver", {
      ...deliveryTarget(call),
      format: call.required("format"),
      pfx: pfxNamed(call),
    }),
};

export const pfxCommands: CliCommand = {
  name: "pfx",
  summary: "imported PFX files (S/MIME): keys, import, delivery",
  commands: [
    {
      name: "key",
      summary: "keys that imported files are encrypted to",
      commands: [createKey, showKey],
    },
    importCommand,
    list,
    remove,
    deliver,
  ],
};

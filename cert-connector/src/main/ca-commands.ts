import { systemClock } from "@isthmus/shared/clock";
import type { CliCommand } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { formatName } from "@isthmus/shared/x509/name-text";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { isHeld, type SigningKey } from "@isthmus/shared/x509/signing-key";
import { backUp, restore } from "./backup.ts";
import { initCommand } from "./ca-init-command.ts";
import { renewRaCommand } from "./ca-renew-ra-command.ts";
import { signCsrCommand } from "./ca-sign-commands.ts";
import { nextCommand, rootListCommand } from "./ca-successor-commands.ts";
import { openAuthority } from "./hsm.ts";
import { loadLocal } from "./load-local.ts";

const status: CliCommand = {
  name: "status",
  summary: "show the CA's certificates, how long they last, and where their keys are",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    await using resources = new AsyncDisposableStack();
    const { files, hsm } = await openAuthority(loadLocal(call.required("config")), resources);
    const { root, rootList, issuing, ra, next } = files;
    const [successor] = next;
    const value = {
      root: { ...described(root), key: "elsewhere" },
      issuing: { ...described(issuing.certificate), key: placeOf(issuing.key) },
      ra: { ...described(ra.certificate), key: placeOf(ra.key) },
      ...(successor !== undefined && { next: { ...described(successor), key: "folder" } }),
    };
    const lines = Object.entries(value).map(
      ([role, { subject, keyId, validUntil, key }]) =>
        `${role.padEnd(8)} ${subject}, until ${validUntil}, key ${keyId} (${key})`,
    );
    const listUntil = rootList?.nextUpdate;
    if (listUntil !== undefined) {
      lines.push(`root.crl ${rootList?.revoked.size ?? 0} revoked, until ${isoTime(listUntil)}`);
    }
    if (hsm?.token !== undefined) lines.push(`token    "${hsm.token.label}", ${hsm.token.model}`);
    return { text: lines.join("\n"), value: { ...value, token: hsm?.token } };
  },
};

function placeOf(key: SigningKey): "token" | "folder" {
  return isHeld(key) ? "token" : "folder";
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function described({ subject, serialNumber, notAfter, thumbprint, publicKeyInfo }: Certificate) {
  return {
    subject: formatName(subject),
    serialNumber,
    keyId: keyIdentifierOf(publicKeyInfo).toString("hex"),
    thumbprint,
    validUntil: isoTime(notAfter),
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
    const local = loadLocal(call.required("config"));
    const made = backUp(local, out, systemClock);
    const inToken = local.ca.hsm === undefined ? "" : " Keys in the token are not in it, either.";
    return {
      text: `Copied to ${out}. The passphrase is not in it: keep that elsewhere, or the copy is of no use.${inToken}`,
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
  commands: [
    initCommand,
    status,
    nextCommand,
    renewRaCommand,
    rootListCommand,
    signCsrCommand,
    backup,
    restoreCommand,
  ],
};

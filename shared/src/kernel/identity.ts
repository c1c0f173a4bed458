import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { statSync } from "node:fs";
import { z } from "zod";
import { ConnectorError } from "../errors.ts";
import { publicKeyOf } from "../link/jws.ts";
import { type EnrolmentAnswer, type Service, service as serviceName } from "../link/messages.ts";
import { checkConfiguration } from "./configuration.ts";
import {
  readStateFile,
  removeStateFile,
  renameStateFile,
  writeFileAtomically,
} from "./state-files.ts";
import type { StateFolder } from "./state-folder.ts";

const identityFile = z.object({
  service: serviceName,
  connectorId: z.string().min(1).max(128),
  linkUrl: z.string().max(2_048),
  enrolledAt: z.number(),
});

/** Who this connector is at its control plane. */
export interface Identity extends z.infer<typeof identityFile> {
  /** Ed25519; never leaves the state folder. */
  readonly privateKey: KeyObject;
  /** PEM of the CA that the control plane's TLS certificate chains to, where it is a private one. */
  readonly cloudCa: string | undefined;
}

/**
 * The Ed25519 key of an enrolment that is under way, written before anything is sent: where the answer was lost, the
 * same token may be used again with the same key.
 */
export function enrolmentKey(folder: StateFolder): KeyObject {
  const pending = readStateFile(folder.pendingKeyFile);
  if (pending !== undefined) return ed25519Key(pending, folder.pendingKeyFile);
  const { privateKey } = generateKeyPairSync("ed25519");
  writeFileAtomically(
    folder.pendingKeyFile,
    privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  );
  return privateKey;
}

/** Puts an enrolment's outcome in place of any identity before. `identity.json` comes last: without it there is none. */
export async function storeIdentity(
  folder: StateFolder,
  of: {
    readonly service: Service;
    readonly answer: EnrolmentAnswer;
    readonly enrolledAt: number;
  },
): Promise<void> {
  const { connectorId, linkUrl, caPem } = of.answer;
  await removeStateFile(folder.identityFile);
  renameStateFile(folder.pendingKeyFile, folder.identityKeyFile);
  if (caPem === undefined) await removeStateFile(folder.cloudCaFile);
  else writeFileAtomically(folder.cloudCaFile, caPem);
  const identity = { service: of.service, connectorId, linkUrl, enrolledAt: of.enrolledAt };
  writeFileAtomically(folder.identityFile, `${JSON.stringify(identity, null, 2)}\n`);
}

/**
 * The identity in a state folder, or undefined where nobody has enrolled.
 *
 * @throws ConnectorError `identity-other-service`, `identity-key-exposed`, `identity-key-missing`.
 */
export function loadIdentity(folder: StateFolder, service: Service): Identity | undefined {
  const text = readStateFile(folder.identityFile);
  if (text === undefined) return undefined;
  const input = parseStateJson(text, folder.identityFile);
  const identity = checkConfiguration(identityFile, input, folder.identityFile);
  if (identity.service !== service) {
    throw new ConnectorError(
      "identity-other-service",
      `state folder ${folder.path} is a ${identity.service}'s: give the ${service} one of its own`,
    );
  }
  return {
    ...identity,
    privateKey: loadIdentityKey(folder),
    cloudCa: readStateFile(folder.cloudCaFile),
  };
}

/** JSON of a file that only this program writes. @throws ConnectorError `state-file` */
export function parseStateJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ConnectorError("state-file", `${file} is damaged: restore it from a backup`, {
      cause,
    });
  }
}

function loadIdentityKey(folder: StateFolder): KeyObject {
  const pem = readStateFile(folder.identityKeyFile);
  if (pem === undefined) {
    throw new ConnectorError(
      "identity-key-missing",
      `${folder.identityKeyFile} is missing: restore it from a backup or enrol again`,
    );
  }
  const mode = statSync(folder.identityKeyFile).mode & 0o777;
  if ((mode & 0o007) !== 0) {
    throw new ConnectorError(
      "identity-key-exposed",
      `${folder.identityKeyFile} has mode ${mode.toString(8)}, others may read it: chmod 600 it, and enrol again if they had access`,
    );
  }
  return ed25519Key(pem, folder.identityKeyFile);
}

function ed25519Key(pem: string, file: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    publicKeyOf(key);
    return key;
  } catch (cause) {
    throw new ConnectorError("state-file", `${file} holds no Ed25519 key`, { cause });
  }
}

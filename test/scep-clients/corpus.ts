import { createPrivateKey, type KeyObject } from "node:crypto";
import { chmodSync, cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Recorded requests of the emulated clients, and the authority that they were made for:
 *
 *     test/corpus/scep/authority/          ca/, passphrase, device.key.pem: made for this corpus and used nowhere else
 *     test/corpus/scep/<client>/requests.jsonl    { name, answer, request } with the whole HTTP request in base64
 */
export const CORPUS_FOLDER = join(import.meta.dirname, "../corpus/scep");
export const AUTHORITY_FOLDER = join(CORPUS_FOLDER, "authority");
/** When the requests were made; their certificates hold around it. */
export const CORPUS_NOW = Date.UTC(2026, 0, 15);

export interface RecordedRequest {
  readonly name: string;
  /** As `answerClass` tells it. */
  readonly answer: string;
  readonly request: string;
}

/** The clients that there are requests of. */
export function recordedClients(): string[] {
  return readdirSync(CORPUS_FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== "authority")
    .map(({ name }) => name);
}

export function requestsFile(client: string): string {
  return join(CORPUS_FOLDER, client, "requests.jsonl");
}

export function recordedRequests(client: string): RecordedRequest[] {
  const lines = readFileSync(requestsFile(client), "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** Copies the authority, for a service that wants its secrets readable by nobody else. */
export function copyAuthority(folder: string) {
  cpSync(AUTHORITY_FOLDER, folder, { recursive: true });
  const ca = { folder: join(folder, "ca"), passphraseFile: join(folder, "passphrase") };
  chmodSync(ca.passphraseFile, 0o600);
  for (const name of readdirSync(ca.folder)) chmodSync(join(ca.folder, name), 0o600);
  return ca;
}

export function corpusDeviceKey(): KeyObject {
  return createPrivateKey(readFileSync(join(AUTHORITY_FOLDER, "device.key.pem")));
}

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAuthority } from "@isthmus/cert-connector/ca/create-authority";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import fc from "fast-check";
import { answerClass } from "./answer-class.ts";
import { CLIENTS, type EmulatedClient, type Enrolment, enrolmentMessage } from "./clients.ts";
import {
  AUTHORITY_FOLDER,
  CORPUS_NOW,
  copyAuthority,
  corpusDeviceKey,
  type RecordedRequest,
  requestsFile,
} from "./corpus.ts";
import { corpusProfiles, profileOf } from "./corpus-profiles.ts";
import { sendRaw } from "./http-request.ts";
import { STATIC_PASSWORD } from "./static-profile.ts";

/**
 * Records the corpus anew, as `RECORD_SCEP_CORPUS=1 npx vitest run --project interop scep-corpus` has it done: for each
 * emulated client good requests, a wrong and a missing challenge, and mutations of its message; each with the class of the
 * answer that the service gives now.
 */

const MUTATIONS = 4;
const SEED = 8894;

/** Records everything; returns how many requests of each client. */
export async function recordCorpus(): Promise<Readonly<Record<string, number>>> {
  if (!existsSync(AUTHORITY_FOLDER)) await makeAuthority();
  using folder = temporaryFolder();
  const ca = copyAuthority(join(folder.path, "authority"));
  await using site = await startConnector(corpusProfiles, { local: { ca }, now: CORPUS_NOW });
  const counts: Record<string, number> = {};
  for (const client of CLIENTS) {
    const recorded = await record(client, site.url);
    const file = requestsFile(client.name);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, `${recorded.map((each) => JSON.stringify(each)).join("\n")}\n`);
    counts[client.name] = recorded.length;
  }
  return counts;
}

async function makeAuthority(): Promise<void> {
  mkdirSync(AUTHORITY_FOLDER, { recursive: true });
  const passphrase = "for the corpus alone";
  writeFileSync(join(AUTHORITY_FOLDER, "passphrase"), `${passphrase}\n`);
  using rootFolder = temporaryFolder();
  await createAuthority({
    name: "Corpus",
    algorithm: "rsa-2048",
    folder: join(AUTHORITY_FOLDER, "ca"),
    passphrase,
    rootKeyFile: join(rootFolder.path, "root.key.pem"),
    rootPassphrase: passphrase,
    permitted: [],
    clock: new FakeClock(CORPUS_NOW),
    random: systemRandom,
  });
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  writeFileSync(join(AUTHORITY_FOLDER, "device.key.pem"), pem);
}

async function record(client: EmulatedClient, url: string): Promise<RecordedRequest[]> {
  const good = message(client, 1);
  const messages: [string, Buffer][] = [
    ["valid", good],
    ["valid-other-device", message(client, 2)],
    ["wrong-challenge", message(client, 3, { challengePassword: "guess" })],
    ["no-challenge", message(client, 4, { challengePassword: undefined })],
    ...mutations("mutated-message", (mutate) => mutate(good)),
    ...mutations("mutated-envelope", (breakEnvelope) => message(client, 5, { breakEnvelope })),
    ...mutations("mutated-request", (breakRequest) => message(client, 6, { breakRequest })),
  ];
  const recorded: RecordedRequest[] = [];
  for (const [name, bytes] of messages) {
    const request = client.http(bytes, `/scep/${profileOf(client)}`);
    const answer = answerClass(await sendRaw(url, request));
    recorded.push({ name, answer, request: request.toString("base64") });
  }
  return recorded;
}

/** The same few changes, made by `apply` wherever it wants them. */
function mutations(
  name: string,
  apply: (mutate: (bytes: Buffer) => Buffer) => Buffer,
): [string, Buffer][] {
  return Array.from({ length: MUTATIONS }, (_, index) => [
    `${name}-${index + 1}`,
    apply((bytes) => {
      const edits = fc.sample(hostileBytes([bytes]), { numRuns: 20, seed: SEED + index });
      return edits.find((edit) => edit.length > bytes.length / 2) ?? bytes;
    }),
  ]);
}

function message(client: EmulatedClient, device: number, changes: Partial<Enrolment> = {}): Buffer {
  const [ra] = pemToDer(readFileSync(join(AUTHORITY_FOLDER, "ca/ra.pem"), "utf8"), "CERTIFICATE");
  if (ra === undefined) throw new Error("no RA certificate");
  return enrolmentMessage(client, {
    recipient: parseCertificate(ra),
    key: corpusDeviceKey(),
    subject: `CN=${client.name}-device-${device}`,
    challengePassword: STATIC_PASSWORD,
    now: CORPUS_NOW,
    noise: randomBytes,
    ...changes,
  });
}

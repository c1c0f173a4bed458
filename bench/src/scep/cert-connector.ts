import { execFile } from "node:child_process";
import { createPrivateKey, randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { signJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import {
  entryOf,
  prepareService,
  type RunningService,
  type ServiceOptions,
  startService,
} from "../process/service.ts";
import { standaloneConfiguration } from "../process/standalone.ts";
import { DeviceMessages, type Enrollee, fetchRecipient } from "./device-messages.ts";
import { fillLedger, type LedgerFilling } from "./filled-ledger.ts";
import { fire } from "./http-load.ts";

const runFile = promisify(execFile);

/** The certificate connector in standalone mode, as far as the load needs to know it. */
export interface MeasuredConnector extends AsyncDisposable {
  readonly pid: number;
  /** Of its only profile. */
  readonly url: string;
  /** Of the listener, without path. */
  readonly origin: string;
  readonly folder: string;
  /** Of some certificates that the ledger was filled with. */
  readonly knownSerials: readonly string[];
  /** Devices with a signed one-time challenge each. */
  enrollees(commonNames: readonly string[]): Promise<Enrollee[]>;
}

const PROFILE_ID = "bench";
const HOUR_MS = 3_600_000;
/** More than any run issues; everything else is as it comes. */
const MANY = 1_000_000;

const DESIRED_CONFIGURATION = {
  profiles: [{ id: PROFILE_ID, challenge: { kind: "signed" }, maxPerHour: MANY }],
};
const GUARDRAILS = {
  commands: {
    allow: ["health.report", "certificate.revoke"],
    limits: { "certificate-issuance": { max: MANY, perMinutes: 60 } },
  },
};

/** Makes the embedded CA in `folder` and says how the connector before it is started. */
export async function prepareCertConnector(
  folder: string,
  algorithm: "rsa-2048" | "ec-p256",
): Promise<ServiceOptions> {
  const standalone = standaloneConfiguration(folder, {
    desired: DESIRED_CONFIGURATION,
    guardrails: GUARDRAILS,
  });
  const passphraseFile = join(folder, "passphrase");
  writeFileSync(passphraseFile, randomUUID(), { mode: 0o600 });
  const options: ServiceOptions = {
    name: "cert-connector",
    folder,
    configuration: {
      ...standalone,
      listen: { address: "127.0.0.1", port: 0 },
      ca: { folder: join(folder, "ca"), passphraseFile },
    },
  };
  const { configurationFile } = prepareService(options);
  const words = ["ca", "init", "--config", configurationFile];
  const order = ["--name", "Bench", "--algorithm", algorithm];
  const rootKey = ["--root-key-out", join(folder, "root-key.pem")];
  await runFile(process.execPath, [entryOf("cert-connector"), ...words, ...order, ...rootKey]);
  return options;
}

/** Starts it in a folder of its own, with a ledger that is filled where that is asked for. */
export async function startCertConnector(
  folder: string,
  algorithm: "rsa-2048" | "ec-p256",
  filling?: LedgerFilling,
): Promise<MeasuredConnector> {
  const options = await prepareCertConnector(folder, algorithm);
  const knownSerials = filling === undefined ? [] : await fill(options, filling);
  return measured(await startService(options), folder, knownSerials);
}

/** Has one device enrol, so that there is an entry to copy; then the connector is stopped. */
async function fill(options: ServiceOptions, filling: LedgerFilling): Promise<string[]> {
  const { folder } = options;
  const service = await startService(options);
  try {
    const { url, enrollees } = measured(service, folder, []);
    const transactions = await new DeviceMessages().make(
      { recipient: await fetchRecipient(new URL(url)) },
      await enrollees(["template"]),
    );
    const bodies = transactions.map(({ message }) => message);
    const { answers } = await fire(new URL(`${url}?operation=PKIOperation`), bodies, 1);
    if (answers[0]?.status !== 200) throw new Error("the first device could not enrol");
  } finally {
    await service[Symbol.asyncDispose]();
  }
  return fillLedger(join(folder, "state", "store.db"), filling);
}

function measured(
  service: RunningService,
  folder: string,
  knownSerials: readonly string[],
): MeasuredConnector {
  const challengeKey = createPrivateKey(readFileSync(join(folder, "state", "challenge-key.pem")));
  const challengeFor = (commonName: string) =>
    signJws(challengePayload(commonName), JWS_TYPES.challenge, challengeKey);
  return {
    pid: service.pid,
    url: `${service.run["scepUrl"]}/scep/${PROFILE_ID}`,
    origin: String(service.run["scepUrl"]),
    folder,
    knownSerials,
    enrollees: (commonNames) =>
      Promise.all(
        commonNames.map(async (commonName) => ({
          commonName,
          challenge: await challengeFor(commonName),
        })),
      ),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

function challengePayload(commonName: string) {
  const now = Date.now();
  return {
    jti: randomUUID(),
    aud: "any",
    profileId: PROFILE_ID,
    deviceId: commonName,
    subject: `CN=${commonName}`,
    subjectAltNames: [],
    iat: now,
    exp: now + HOUR_MS,
  };
}

import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { entryOf, prepareService, startRun, untilReady } from "../process/service.ts";
import { standaloneConfiguration } from "../process/standalone.ts";

const runFile = promisify(execFile);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const PROFILE_ID = "soak";
/** A successor of the RA's key is made this long before its end. */
const RA_RENEWAL_MS = 60 * DAY_MS;
/** More than a soak issues. */
const MANY = 1_000_000;

const DESIRED_CONFIGURATION = {
  profiles: [
    {
      id: PROFILE_ID,
      challenge: { kind: "signed" },
      validityDays: 1,
      renewalWindowPercent: 50,
      maxPerHour: MANY,
    },
  ],
  crl: { periodHours: 1, overlapHours: 1 },
};
const GUARDRAILS = {
  commands: {
    allow: ["health.report", "certificate.revoke"],
    limits: { "certificate-issuance": { max: MANY, perMinutes: 60 } },
  },
};

/** The connector's files, and the moment its RA's key is due for a successor. */
export interface SoakFiles {
  readonly folder: string;
  readonly configurationFile: string;
  readonly stateFolder: string;
  readonly raRenewalMs: number;
}

/** Makes a connector in standalone mode with an RSA authority. */
export async function prepareConnector(folder: string): Promise<SoakFiles> {
  const passphraseFile = join(folder, "passphrase");
  const ca = { folder: join(folder, "ca"), passphraseFile };
  const configuration = {
    ...standaloneConfiguration(folder, { desired: DESIRED_CONFIGURATION, guardrails: GUARDRAILS }),
    listen: { address: "127.0.0.1", port: 0 },
    ca,
  };
  writeFileSync(passphraseFile, "a passphrase for an hour", { mode: 0o600 });
  const files = prepareService({ name: "cert-connector", folder, configuration });
  await cli(
    "ca",
    "init",
    "--config",
    files.configurationFile,
    "--name",
    "Soak",
    "--algorithm",
    "rsa-2048",
    "--root-key-out",
    join(folder, "root-key.pem"),
  );
  const [ra] = pemToDer(readFileSync(join(ca.folder, "ra.pem"), "utf8"), "CERTIFICATE");
  const { notAfter } = parseCertificate(ra ?? Buffer.alloc(0));
  return { folder, ...files, raRenewalMs: notAfter - RA_RENEWAL_MS };
}

/** Starts it on the moved clock. */
export async function startConnector(
  { folder, ...files }: SoakFiles,
  environment: Readonly<Record<string, string>>,
) {
  const foreign = startRun(
    { name: "cert-connector", folder, configuration: {} },
    files,
    environment,
  );
  try {
    const run = await untilReady(foreign, files.stateFolder);
    return {
      pid: foreign.pid,
      baseUrl: String(run["scepUrl"]),
      output: () => foreign.output(),
      [Symbol.asyncDispose]: () => foreign[Symbol.asyncDispose](),
    };
  } catch (error) {
    await foreign.kill();
    throw error;
  }
}

/** One command of the connector's command line. Throws with what it said where it fails. */
export async function cli(...words: readonly string[]): Promise<string> {
  const { stdout } = await runFile(process.execPath, [entryOf("cert-connector"), ...words]);
  return stdout;
}

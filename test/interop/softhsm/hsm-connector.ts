import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { desiredConfiguration } from "@isthmus/cert-connector/config/desired-configuration";
import { guardrails } from "@isthmus/cert-connector/config/guardrails";
import { localConfiguration } from "@isthmus/cert-connector/config/local-configuration";
import { caCommands } from "@isthmus/cert-connector/main/ca-commands";
import { startCertConnector } from "@isthmus/cert-connector/main/start";
import { makeConnectorKernel } from "@isthmus/cert-connector/testing/connector-under-test";
import {
  makeChallenge,
  makeRequest,
  ScepDevice,
} from "@isthmus/cert-connector/testing/scep-device";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { runCheck } from "@isthmus/shared/kernel/health";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import type { SoftToken } from "./soft-token.ts";

const tenant = generateKeyPairSync("ed25519").privateKey;

/** The keys of `ca` in the configuration. */
export function caKeys(token: SoftToken, hsm: Record<string, unknown> = {}) {
  return {
    folder: join(token.folder, "ca"),
    passphraseFile: join(token.folder, "passphrase"),
    hsm: {
      module: token.module,
      tokenLabel: token.label,
      pinFile: token.pinFile,
      issuingKeyLabel: "issuing",
      raKeyLabel: "ra",
      ...hsm,
    },
  };
}

/** Runs `ca ...` with a configuration of this token. */
export async function ca(
  token: SoftToken,
  words: readonly string[],
  hsm?: Record<string, unknown>,
) {
  const config = join(token.folder, "config.json");
  const standalone = { desiredConfigurationFile: "desired.json" };
  writeFileSync(join(token.folder, "desired.json"), "{}");
  writeFileSync(
    config,
    JSON.stringify({ stateFolder: "state", standalone, ca: caKeys(token, hsm) }),
  );
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const line = { name: "cert-connector", summary: "", version: "1", commands: [caCommands] };
  const [verb = "", ...rest] = words;
  const exitCode = await runCommandLine(line, ["ca", verb, "--config", config, ...rest], {
    stdout,
    stderr,
  });
  return { exitCode, stdout: String(stdout.read()), stderr: String(stderr.read()) };
}

/** `ca init --hsm`; throws with what it says where it fails. */
export async function initInToken(
  token: SoftToken,
  algorithm: string,
  more: readonly string[] = [],
  hsm: Record<string, unknown> = {},
) {
  const root = more.includes("--root-key-label")
    ? []
    : ["--root-key-out", join(token.folder, "root.key.pem")];
  const name = ["--name", "Test", "--algorithm", algorithm];
  const made = await ca(token, ["init", "--hsm", ...name, ...root, ...more], hsm);
  if (made.exitCode !== 0) throw new Error(made.stderr);
}

/** The whole connector over HTTP with its keys in the token, by the real time. */
export async function startHsmConnector(
  token: SoftToken,
  hsm: Record<string, unknown> = {},
  profile: Record<string, unknown> = {},
) {
  const stack = new AsyncDisposableStack();
  try {
    return await start(token, stack, hsm, profile);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

async function start(
  token: SoftToken,
  stack: AsyncDisposableStack,
  hsm: Record<string, unknown>,
  profile: Record<string, unknown>,
) {
  const local = localConfiguration.parse({
    listen: { address: "127.0.0.1", port: 0 },
    ca: caKeys(token, hsm),
  });
  const kernel = stack.use(
    await makeConnectorKernel({
      local,
      guardrails: guardrails.parse({}),
      tenantKeys: [publicKeyOf(tenant)],
    }),
  );
  kernel.clock.set(Date.now());
  const service = stack.use(await startCertConnector(kernel));
  const url = kernel.announced["scepUrl"] ?? "";
  const publicUrls = { crl: `${url}/crl`, ocsp: `${url}/ocsp`, ca: `${url}/ca` };
  const profiles = [{ id: "device", renewalWindowPercent: 100, ...profile }];
  await service.applyConfiguration(desiredConfiguration.parse({ profiles, publicUrls }), 1);
  const device = new ScepDevice(`${url}/scep/device`);
  return {
    kernel,
    url,
    device,
    /** A request with a fresh challenge. */
    request: async (name: string) => {
      const now = kernel.clock.now();
      const changes = { deviceId: name, subject: `CN=${name}` };
      const challengePassword = await makeChallenge(tenant, now, changes);
      return await makeRequest({ challengePassword }, now);
    },
    health: async () => {
      const check = kernel.checks.find(({ name }) => name === "hsm");
      if (check === undefined) throw new Error("there is no check of the HSM");
      return await runCheck(check);
    },
    /** Of all that was ever intended. */
    serialNumbers: async () => {
      const sql = "SELECT serial_number FROM enrolment WHERE serial_number IS NOT NULL";
      const rows = await kernel.store.query<{ serial_number: string }>(sql, [], 10);
      return rows.map(({ serial_number }) => serial_number);
    },
    control: async (method: string, argument: unknown = null) =>
      await service.controls?.[method]?.(argument),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

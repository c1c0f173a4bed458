import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@isthmus/shared/clock";
import type { WindowLimit } from "@isthmus/shared/kernel/service-definition";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import type { PublicKey } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { z } from "zod";
import type { AuthorityAlgorithm } from "../ca/authority-keys.ts";
import { createAuthority } from "../ca/create-authority.ts";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import { guardrails } from "../config/guardrails.ts";
import { localConfiguration } from "../config/local-configuration.ts";
import type { CertificateKernel } from "../main/service.ts";
import { startCertConnector } from "../main/start.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { makeChallenge } from "./scep-device.ts";

/** Signs the challenges of connectors that are given no other tenant's key. */
const tenant = generateKeyPairSync("ed25519").privateKey;

/** Makes an authority in `folder/ca`; the root's key goes to `folder/root.key.pem`. */
export async function makeAuthority(
  folder: string,
  clock: Clock,
  algorithm: AuthorityAlgorithm = "ec-p256",
  isOwnRa = false,
) {
  const passphraseFile = join(folder, "passphrase");
  mkdirSync(folder, { recursive: true });
  writeFileSync(passphraseFile, "correct horse", { mode: 0o600 });
  const ca = { folder: join(folder, "ca"), passphraseFile };
  await createAuthority({
    name: "Test",
    algorithm,
    folder: ca.folder,
    passphrase: "correct horse",
    rootKeyFile: join(folder, "root.key.pem"),
    rootPassphrase: "battery staple",
    permitted: [],
    isOwnRa,
    clock,
    random: systemRandom,
  });
  return ca;
}

export interface KernelParts {
  readonly rules?: z.input<typeof guardrails>;
  readonly limits?: Readonly<Record<string, WindowLimit>>;
  readonly tenantKeys?: readonly PublicKey[];
  readonly algorithm?: AuthorityAlgorithm;
  readonly isOwnRa?: boolean;
  /** Further keys of the local configuration, as its file has them. With `ca` no authority is made. */
  readonly local?: Partial<z.input<typeof localConfiguration>>;
}

/** What a kernel for tests is made of; `clock` dates the authority. */
export async function kernelOptions(folder: string, clock: Clock, of: KernelParts = {}) {
  mkdirSync(folder, { recursive: true });
  const ca = of.local?.ca ?? (await makeAuthority(folder, clock, of.algorithm, of.isOwnRa));
  const secretFile = join(folder, "secret");
  writeFileSync(secretFile, "one password for all", { mode: 0o600 });
  return {
    local: localConfiguration.parse({
      listen: { address: "127.0.0.1", port: 0 },
      secrets: { closed: { file: secretFile } },
      envelopeThreads: 0,
      ...of.local,
      ca,
    }),
    guardrails: guardrails.parse(of.rules ?? {}),
    tenantKeys: of.tenantKeys ?? [publicKeyOf(tenant)],
    ...(of.limits !== undefined && { limits: of.limits }),
  };
}

/** A kernel for tests with this connector's store. */
export async function makeConnectorKernel(options: {
  /** Without the keys that every service has: the kernel brings them. */
  readonly local: object;
  readonly guardrails: CertificateKernel["guardrails"];
  readonly tenantKeys: readonly PublicKey[];
  readonly limits?: Readonly<Record<string, WindowLimit>>;
  readonly connectorId?: string;
}) {
  return await makeTestKernel<
    CertificateKernel["local"],
    CertificateKernel["guardrails"],
    CertificateOperations
  >({
    ...options,
    service: "cert-connector",
    storeModule: new URL("../store/operations.ts", import.meta.url),
    local: options.local as CertificateKernel["local"],
  });
}

/** The whole connector over HTTP in this process, with an authority of its own and a clock that only the test moves. */
export async function startConnector(
  profiles: readonly Readonly<Record<string, unknown>>[],
  {
    now,
    folder,
    prepare,
    ...parts
  }: KernelParts & {
    /** What the clock shows; otherwise where every `FakeClock` begins. */
    readonly now?: number;
    /** Where the authority and secrets are; otherwise in a folder that goes with the connector. */
    readonly folder?: string;
    /** Changes the authority's folder before the start. */
    readonly prepare?: (caFolder: string) => void;
  } = {},
) {
  await using started = new AsyncDisposableStack();
  const place = folder ?? started.use(temporaryFolder()).path;
  const clock = new FakeClock(now);
  const options = await kernelOptions(place, clock, parts);
  prepare?.(options.local.ca.folder);
  const kernel = started.use(await makeConnectorKernel(options));
  kernel.clock.set(clock.now());
  const service = started.use(await startCertConnector(kernel));
  const configure = (...next: readonly Readonly<Record<string, unknown>>[]) =>
    service.applyConfiguration(desiredConfiguration.parse({ profiles: next }), 1);
  await configure(...profiles);
  const stack = started.move();
  return {
    ...{ kernel, clock: kernel.clock, service, configure, folder: place },
    /** Without a path. */
    url: kernel.announced["scepUrl"] ?? "",
    /** A challenge for `device-1` and the profile `device`; `changes` replace fields. */
    challenge: (changes?: Readonly<Record<string, unknown>>) =>
      makeChallenge(tenant, kernel.clock.now(), changes),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

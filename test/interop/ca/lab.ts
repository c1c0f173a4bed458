import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { authorities as authoritiesSchema } from "@isthmus/cert-connector/config/authorities";
import { desiredConfiguration } from "@isthmus/cert-connector/config/desired-configuration";
import { startCertConnector } from "@isthmus/cert-connector/main/start";
import {
  kernelOptions,
  makeConnectorKernel,
} from "@isthmus/cert-connector/testing/connector-under-test";
import {
  type DeviceRequest,
  issued,
  makeChallenge,
  makeRequest,
  ScepDevice,
} from "@isthmus/cert-connector/testing/scep-device";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { parseNameText } from "@isthmus/shared/x509/name-text";

/** A connector whose profile `device` is served by an authority elsewhere, and a device. */
export interface CaLab extends AsyncDisposable {
  readonly kernel: Awaited<ReturnType<typeof testKernel>>;
  readonly device: ScepDevice;
  /** What a device sends: by default with another subject than it may have. */
  request(of?: {
    readonly subject?: string;
    readonly challenge?: Challenge;
  }): Promise<DeviceRequest>;
  /** Enrols and returns the certificate; throws where it is refused. */
  enrol(of?: { readonly subject?: string; readonly challenge?: Challenge }): Promise<Certificate>;
  /** As an administrator does. */
  revoke(certificate: Certificate): Promise<unknown>;
  /** The audit's events, oldest first. */
  audited(): Promise<string[]>;
  configure(profile: Record<string, unknown>): Promise<void>;
  /** What the connector says of itself now. */
  check(name: string): Promise<CheckResult | undefined>;
  /** Stops the connector and starts it on the same store; devices find it at another port. */
  restart(): Promise<void>;
}

/** Changes to the signed challenge, or the static one. */
type Challenge = Readonly<Record<string, unknown>> | string;

/** The static challenge of this lab, and a profile that takes it: it proves neither device nor user. */
export const STATIC_CHALLENGE = "one password for all";
export const HOST_PROFILE = {
  challenge: { kind: "static", secretName: "closed" },
  subject: { template: "CN={{requestedCommonName}},O=Example" },
  subjectAltNames: [
    { type: "dns", template: "{{requestedCommonName}}.example.com" },
    { type: "email", template: "ada@example.com" },
  ],
} as const;

const tenant = generateKeyPairSync("ed25519").privateKey;

/** A key for a device that must not share one. */
export function newDeviceKey(): KeyObject {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
}

/** `further` are authorities beside `elsewhere`, by name, after it in the configuration. */
export async function startCaLab(
  elsewhere: Readonly<Record<string, unknown>>,
  profile: Readonly<Record<string, unknown>> = {},
  further: Readonly<Record<string, unknown>> = {},
): Promise<CaLab> {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const kernel = stack.use(await testKernel(path, { elsewhere, ...further }));
  kernel.clock.set(Date.now());
  let service = await startCertConnector(kernel);
  stack.defer(() => service[Symbol.asyncDispose]());
  const configure = (changes: Readonly<Record<string, unknown>>) =>
    service.applyConfiguration(
      desiredConfiguration.parse({
        profiles: [
          {
            id: "device",
            ca: "elsewhere",
            validityDays: 30,
            keyUsage: ["digitalSignature", "keyEncipherment"],
            ...changes,
          },
        ],
      }),
      1,
    );
  await configure(profile);
  const newDevice = () => new ScepDevice(`${kernel.announced["scepUrl"]}/scep/device`);
  let device = newDevice();
  const request: CaLab["request"] = async ({ subject = "CN=device-1", challenge = {} } = {}) => {
    const now = kernel.clock.now();
    const challengePassword =
      typeof challenge === "string" ? challenge : await makeChallenge(tenant, now, challenge);
    return await makeRequest({ subject: parseNameText(subject), challengePassword }, now);
  };
  return {
    kernel,
    get device() {
      return device;
    },
    request,
    enrol: async (of) => issued(await device.enrol(await request(of))),
    revoke: async ({ serialNumber }) => {
      const order = { serialNumber, reason: "keyCompromise" };
      return await service.controls?.["certificate.revoke"]?.(order);
    },
    audited: async () => {
      const rows = await kernel.store.query<{ event: string }>(
        "SELECT event FROM audit_journal ORDER BY idx",
        [],
        1_000,
      );
      return rows.map(({ event }) => event);
    },
    configure,
    restart: async () => {
      await service[Symbol.asyncDispose]();
      kernel.metrics.clear();
      service = await startCertConnector(kernel);
      await configure(profile);
      device = newDevice();
    },
    check: async (name) => await kernel.checks.findLast((check) => check.name === name)?.run(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function testKernel(folder: string, authorities: Readonly<Record<string, unknown>>) {
  const clock = new FakeClock(Date.now() - 3_600_000);
  const tenantKeys = [publicKeyOf(tenant)];
  const local = { authorities: authoritiesSchema.parse(authorities) };
  return await makeConnectorKernel(await kernelOptions(folder, clock, { tenantKeys, local }));
}

/** Writes a file that only its owner reads; its path. */
export function secretFile(folder: string, name: string, content: string | Uint8Array): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

import type { KeyObject } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { ScepTransaction } from "@isthmus/cert-connector/protocol/scep-client";
import { ConnectorError } from "@isthmus/shared/errors";
import { SERVICES } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { DEMO } from "../configurations.ts";
import {
  type DeviceIdentity,
  enrol,
  identityOf,
  newDeviceKey,
  prepareEnrolment,
  type ScepServer,
  sendRequest,
} from "../device/scep-device.ts";
import { allSettled } from "../process/all-settled.ts";
import { runCommand } from "../process/child-service.ts";
import { askChallenge } from "../set-up.ts";
import { entryOf, type Suite } from "../suite.ts";
import { expect, identityIn, type Step } from "./story.ts";
import { fetchPage } from "./tunnel-steps.ts";

const FLEET = "tour-device-";
const DEVICES = 40;
const AT_ONCE = 6;
/** The connector is killed when this one has its certificate, while others wait for theirs. */
const KILL_AT = 20;
const RETRY_MS = 50;
const RETRY_FOR_MS = 60_000;
const REPORTED_WITHIN_MS = 30_000;

export const faultSteps: readonly Step[] = [
  {
    name: "connector killed with SIGKILL in the middle of work",
    run: (story) => killInTheMiddle(story.suite),
  },
  {
    name: "the cloud stopped, the connectors go on serving, the cloud back",
    async run(story) {
      const { suite } = story;
      const challenge = await askChallenge(suite, DEMO.deviceId, DEMO.userPrincipalName);
      await suite.halt("control-plane");
      const server = await suite.scepServer();
      const privateKey = await newDeviceKey();
      const subject = `CN=${DEMO.deviceId}`;
      const identity = await enrol(server, { subject, challenge, privateKey });
      await fetchPage(suite, identityIn(story));
      await fetchPage(suite, identity);
      await suite.launch("control-plane");
      await reported(suite, [identity]);
      await connected(suite);
      story.identity = identity;
      return "enrolled and fetched without it; what was issued meanwhile is reported";
    },
  },
];

export const auditStep: Step = {
  name: "audit verify clean",
  async run({ suite }) {
    const chains = ["control-plane", ...SERVICES] as const;
    const counts = await Promise.all(
      chains.map(async (service) => {
        const { configFile } = suite.layout.of(service);
        const words = ["audit", "verify", "--config", configFile, "--json"];
        return JSON.parse(await runCommand(entryOf(service), words)).entries as number;
      }),
    );
    return chains.map((service, index) => `${service} ${counts[index]}`).join(", ");
  },
};

async function killInTheMiddle(suite: Suite): Promise<string> {
  const server = await suite.scepServer();
  const privateKey = await newDeviceKey();
  const transactions = await prepareFleet(suite, server, privateKey);
  const identities: DeviceIdentity[] = [];
  const killed = Promise.withResolvers<void>();
  const rest = [...transactions.entries()];
  const work = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const [index, transaction] = next;
      const answer = await insist(() => sendRequest(server, transaction));
      identities[index] = identityOf(answer, server, privateKey);
      // At once, so that the other devices' requests are on their way.
      if (index === KILL_AT)
        suite.halt("cert-connector", "kill").then(killed.resolve, killed.reject);
    }
  };
  const restarted = killed.promise.then(() => suite.launch("cert-connector"));
  await allSettled([restarted, ...Array.from({ length: AT_ONCE }, work)]);
  for (const [index, transaction] of transactions.entries()) {
    const again = identityOf(await sendRequest(server, transaction), server, privateKey);
    const isSame = identities[index]?.certificate.der.equals(again.certificate.der);
    expect(isSame === true, "the same request got another certificate after the restart");
  }
  await reported(suite, identities);
  return `killed at the ${KILL_AT}th of ${DEVICES} devices; each has one certificate, all reported`;
}

/** The requests of many devices, ready to be sent. */
async function prepareFleet(
  suite: Suite,
  server: ScepServer,
  privateKey: KeyObject,
): Promise<ScepTransaction[]> {
  const names = Array.from({ length: DEVICES }, (_, index) => `${FLEET}${index + 1}`);
  return allSettled(
    names.map(async (name) => {
      const challenge = await askChallenge(suite, name);
      return prepareEnrolment(server, { subject: `CN=${name}`, challenge, privateKey });
    }),
  );
}

/** Every one of these certificates is known to the control plane exactly once, under its own serial number. */
async function reported(suite: Suite, identities: readonly DeviceIdentity[]): Promise<void> {
  const serials = identities.map(({ certificate }) => certificate.serialNumber);
  expect(new Set(serials).size === serials.length, "a serial number was used twice");
  const graph = await suite.graph();
  await until(
    async () => {
      const known = await graph.list<{ serialNumber: string; managedDeviceId: string }>(
        "/issuedCertificates",
      );
      const found = serials.map((serial) => known.filter((each) => each.serialNumber === serial));
      expect(
        found.every((each) => each.length < 2),
        "the control plane knows a certificate twice",
      );
      const devices = known
        .map((each) => each.managedDeviceId)
        .filter((id) => id?.startsWith(FLEET));
      expect(new Set(devices).size === devices.length, "a device got two certificates");
      return found.every((each) => each.length === 1);
    },
    "the control plane's knowledge of every certificate",
    REPORTED_WITHIN_MS,
  );
}

async function connected(suite: Suite): Promise<void> {
  const graph = await suite.graph();
  await until(
    async () => {
      const connectors = await graph.list<{ isConnected: boolean }>("/connectors");
      return connectors.length === SERVICES.length && connectors.every((each) => each.isConnected);
    },
    "all connectors connected again",
    REPORTED_WITHIN_MS,
  );
}

/** Like a device: tries again while nobody answers, with the same request. */
async function insist<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + RETRY_FOR_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isPassing(error) || performance.now() > deadline) throw error;
      await delay(RETRY_MS);
    }
  }
}

/** What fetch throws when the connection is refused or breaks off, or an answer that says to come again. */
function isPassing(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof ConnectorError && error.isRetryable);
}

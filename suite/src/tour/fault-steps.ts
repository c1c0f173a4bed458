import { setTimeout as delay } from "node:timers/promises";
import { SERVICES } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { DEMO } from "../configurations.ts";
import {
  type DeviceIdentity,
  enrol,
  identityOf,
  newDeviceKey,
  prepareEnrolment,
  sendRequest,
} from "../device/scep-device.ts";
import { runCommand } from "../process/child-service.ts";
import { askChallenge } from "../set-up.ts";
import { entryOf, type Suite } from "../suite.ts";
import { expect, identityIn, type Step } from "./story.ts";
import { fetchPage } from "./tunnel-steps.ts";

const DEVICES = 24;
/** The connector is killed once this many have their certificate, while the others wait for theirs. */
const KILL_AFTER = 6;
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
  const names = Array.from({ length: DEVICES }, (_, index) => `tour-device-${index + 1}`);
  const privateKey = await newDeviceKey();
  const transactions = await Promise.all(
    names.map(async (name) => {
      const challenge = await askChallenge(suite, name);
      return prepareEnrolment(server, { subject: `CN=${name}`, challenge, privateKey });
    }),
  );
  let done = 0;
  let isKilled = false;
  const enrolments = transactions.map((transaction) =>
    insist(async () => {
      const answer = await sendRequest(server, transaction);
      done += 1;
      return identityOf(answer, server, privateKey);
    }),
  );
  const killed = (async () => {
    await until(() => done >= KILL_AFTER, "the first certificates", RETRY_FOR_MS);
    await suite.halt("cert-connector", "kill");
    isKilled = done < DEVICES;
    await suite.launch("cert-connector");
  })();
  const [identities] = await Promise.all([Promise.all(enrolments), killed]);
  const before = `${KILL_AFTER} of ${DEVICES}`;
  expect(isKilled, "every device had its certificate before the connector was killed");
  const again = await Promise.all(transactions.map((each) => sendRequest(server, each)));
  for (const [index, answer] of again.entries()) {
    const same = identityOf(answer, server, privateKey).certificate.der;
    expect(same.equals(identities[index]?.certificate.der ?? same), "a retry got a second one");
  }
  await reported(suite, identities);
  return `killed after about ${before}; ${DEVICES} certificates, each once, all reported`;
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
        .filter((id) => id?.startsWith("tour-"));
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
      if (!isUnreachable(error) || performance.now() > deadline) throw error;
      await delay(RETRY_MS);
    }
  }
}

/** What fetch throws when the connection is refused or breaks off. */
function isUnreachable(error: unknown): boolean {
  return error instanceof TypeError;
}

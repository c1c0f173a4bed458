import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@isthmus/shared/testing/until";
import { DEMO } from "../configurations.ts";
import type { DeviceIdentity } from "../device/scep-device.ts";
import { fetchThrough, type TunnelRefusal } from "../device/tunnel-client.ts";
import { SITE_SENTENCE } from "../process/internal-site.ts";
import { enrolDemoDevice } from "../set-up.ts";
import type { Suite } from "../suite.ts";
import { expect, identityIn, type Step } from "./story.ts";

/** A change of compliance has to close connections this soon after the API call. */
const CUT_WITHIN_MS = 2_000;
const REVOKED_WITHIN_MS = 30_000;

export const tunnelSteps: readonly Step[] = [
  {
    name: "internal page fetched through the tunnel",
    run: (story) => fetchPage(story.suite, identityIn(story)),
  },
  {
    name: "forbidden destination refused with the rule's name",
    async run(story) {
      const refusal = await refusedTo(story.suite, identityIn(story), DEMO.closedHost);
      expect(refusal.status === 403, `expected 403, got ${refusal.status}`);
      expect(
        refusal.proxyStatus.includes(DEMO.closedRule),
        `Proxy-Status does not name ${DEMO.closedRule}: ${refusal.proxyStatus}`,
      );
      return `403, rule ${DEMO.closedRule}`;
    },
  },
  {
    name: "device marked non-compliant, its open connection cut",
    async run({ suite, ...story }) {
      const identity = identityIn({ suite, ...story });
      const socket = await openClock(suite, identity);
      const cut = closed(socket);
      const graph = await suite.graph();
      const device = `/managedDevices/${DEMO.deviceId}`;
      await graph.patch(device, { complianceState: "noncompliant" });
      const asked = performance.now();
      await within(CUT_WITHIN_MS, cut, "the connection is still open");
      const took = Math.round(performance.now() - asked);
      const refusal = await refusedTo(suite, identity, DEMO.openHost);
      expect(refusal.status === 403, `a new connection was answered with ${refusal.status}`);
      await graph.patch(device, { complianceState: "compliant" });
      await until(
        async () => (await tryConnect(suite, identity)) === "open",
        "access after the device is compliant again",
      );
      return `cut ${took} ms after the API's answer; let in again when compliant`;
    },
  },
  {
    name: "certificate revoked and refused",
    async run(story) {
      const { suite } = story;
      const identity = identityIn(story);
      const socket = await openClock(suite, identity);
      const cut = closed(socket);
      const graph = await suite.graph();
      const { serialNumber } = identity.certificate;
      const filter = encodeURIComponent(`serialNumber eq '${serialNumber}'`);
      const issued = await until(async () => {
        const found = await graph.list<{ id: string }>(`/issuedCertificates?$filter=${filter}`);
        return found[0];
      }, "the control plane's knowledge of the certificate");
      await graph.post(`/issuedCertificates/${issued.id}/revoke`, { reason: "keyCompromise" });
      const asked = performance.now();
      await within(REVOKED_WITHIN_MS, cut, "the connection is still open");
      const took = Math.round(performance.now() - asked);
      const refusal = await refusedTo(suite, identity, DEMO.openHost);
      expect(refusal.status === 403, `a new connection was answered with ${refusal.status}`);
      story.identity = await enrolDemoDevice(suite);
      await fetchPage(suite, story.identity);
      return `open connection cut after ${took} ms; a new certificate is let in`;
    },
  },
];

/** Fetches the internal page through the tunnel. */
export async function fetchPage(suite: Suite, identity: DeviceIdentity): Promise<string> {
  const answer = await suite.connect(identity, DEMO.openHost);
  if (answer.kind === "refused") throw new Error(`refused: ${answer.status} ${answer.proxyStatus}`);
  const page = await fetchThrough(answer.socket, DEMO.openHost, "/");
  expect(page.status === 200, `the site answered ${page.status}`);
  expect(page.body.includes(SITE_SENTENCE), "the page is not the internal one");
  return `${page.body.length} bytes of http://${DEMO.openHost}`;
}

async function refusedTo(
  suite: Suite,
  identity: DeviceIdentity,
  host: string,
): Promise<TunnelRefusal> {
  const answer = await suite.connect(identity, host);
  if (answer.kind === "refused") return answer;
  answer.socket.destroy();
  throw new Error(`${host} was let through`);
}

async function tryConnect(suite: Suite, identity: DeviceIdentity): Promise<string> {
  const answer = await suite.connect(identity, DEMO.openHost);
  if (answer.kind === "open") answer.socket.destroy();
  return answer.kind;
}

/** A connection through the tunnel on which a line arrives each second. Resolves once the first has. */
async function openClock(suite: Suite, identity: DeviceIdentity): Promise<Socket> {
  const answer = await suite.connect(identity, DEMO.openHost);
  if (answer.kind === "refused") throw new Error(`refused: ${answer.status} ${answer.proxyStatus}`);
  const { socket } = answer;
  socket.write(`GET /clock HTTP/1.1\r\nHost: ${DEMO.openHost}\r\n\r\n`);
  await new Promise<void>((resolve, reject) => {
    socket.once("data", () => resolve());
    socket.once("close", () => reject(new Error("the site closed before its first line")));
  });
  socket.resume();
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("close", () => resolve());
    socket.once("end", () => socket.destroy());
  });
}

async function within(limitMs: number, event: Promise<void>, otherwise: string): Promise<void> {
  const timer = new AbortController();
  const late = delay(limitMs, true, { signal: timer.signal }).catch(() => false);
  const isLate = await Promise.race([event.then(() => false), late]);
  timer.abort();
  if (isLate) throw new Error(`${otherwise} after ${limitMs} ms`);
}

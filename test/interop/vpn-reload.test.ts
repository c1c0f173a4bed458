import { afterAll, beforeAll, expect, test } from "vitest";
import { LAB } from "../vpn-lab/namespaces.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { startIperf } from "../vpn-lab/running-iperf.ts";
import { startDownload } from "../vpn-lab/running-transfer.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";

/**
 * Certificate, revocations, policy and routes change under a running transfer and iperf3 both ways: no session is lost, no second is
 * without octets, and what is new sees what has changed.
 */

const BYTES = 100_000_000;
const BYTES_PER_SECOND = 1_000_000;
const STARTED_BYTES = 500_000;
const MORE_BYTES = 400_000;
const EXTRA_NETWORK = "192.0.2.0/24";
/** Of a service that the second policy closes. */
const CLOSED_PORT = 8_010;
const CONNECT_SECONDS = 2;

const WAYS = [
  { way: "TLS", words: ["--no-dtls"], revoked: 1 },
  { way: "DTLS", words: [], revoked: 2 },
] as const;

let scene: Scene | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnrld", { devices: 1 + WAYS.length });
  const serve = `require("net").createServer((socket) => socket.end()).listen(${CLOSED_PORT}, "0.0.0.0")`;
  scene?.lab.start("internal", [process.execPath, "-e", serve]);
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

test.for(WAYS)(
  "everything that can be reloaded is, under a transfer over $way",
  async (one, context) => {
    const place = ready(scene, context);
    place.gateway.configure({});
    await using client = await place.connect({ words: one.words });
    if (one.way === "DTLS") await client.until("Established DTLS connection");
    const before = await connected(place);
    const shown = await shownCertificate(place);
    await using transfer = startDownload(place.lab, BYTES, BYTES_PER_SECOND);
    const goesOn = async (what: string) => {
      const received = transfer.received();
      const isMore = () => transfer.received() > received + MORE_BYTES;
      await until(`the transfer goes on after ${what}`, isMore, place.gateway.output);
      expect(transfer.process.exitCode).toBeNull();
      const heard = iperf.seconds().length;
      await until(
        `iperf3 goes on after ${what}`,
        () => iperf.seconds().length > heard + 2,
        iperf.output,
      );
      expect(iperf.process.exitCode, iperf.output()).toBeNull();
    };
    await until("the transfer runs", () => transfer.received() > STARTED_BYTES, client.output);
    await using iperf = await startIperf(place.lab);
    await until("iperf3 runs", () => iperf.seconds().length > 1, iperf.output);
    const isOpen = () => isReached(place, CLOSED_PORT);
    await until("the service is reached", isOpen, place.gateway.output);

    place.papers.renewServer();
    const isNew = async () => (await shownCertificate(place)) !== shown;
    await until("new connections see the new certificate", isNew, place.gateway.output);
    await goesOn("the certificate");

    const other = place.papers.devices[one.revoked];
    if (!other) throw new Error("no other device");
    await place.papers.revoke(other);
    const isRefused = async () => {
      const again = place.lab.run("client", authenticate(place, other));
      return await again.then(
        () => false,
        (error: Error) => error.message.includes("revoked"),
      );
    };
    await until("the revoked device is refused", isRefused, place.gateway.output);
    await goesOn("the revocation list");

    const appliedBefore = applied(place);
    place.gateway.configure({
      group: { routesInclude: [LAB.internal.network, LAB.internal.ipv6Network, EXTRA_NETWORK] },
      desired: { policies: [inside("first"), inside("second")] },
    });
    const isApplied = () => applied(place) > appliedBefore;
    await until("the configuration is applied", isApplied, place.gateway.output);
    const isClosed = async () => !(await isOpen());
    await until("the service is closed to new flows", isClosed, place.gateway.output);
    await goesOn("policy and routes");
    const seconds = iperf.seconds();
    expect(seconds.filter(({ octets }) => octets === 0)).toEqual([]);
    expect(new Set(seconds.map(({ direction }) => direction))).toEqual(new Set(["up", "down"]));
    expect(iperf.output()).not.toMatch(/error/i);

    transfer.hurry();
    expect(await transfer.hash).toBe(payloadHash(BYTES));
    const after = await connected(place);
    expect(before?.sessionId).toBeDefined();
    expect(after?.sessionId).toBe(before?.sessionId);
    expect(before?.address).toBeDefined();
    expect([after?.address, after?.ipv6Address]).toEqual([before?.address, before?.ipv6Address]);
    expect(client.output()).not.toContain("reconnect");
    await client.disconnect();

    await using next = await place.connect({ words: ["-v", ...one.words] });
    expect(next.output()).toContain("X-CSTP-Split-Include: 192.0.2.0/255.255.255.0");
  },
);

async function connected(place: Scene) {
  return (await place.sessions()).find(({ state }) => state === "connected");
}

function applied(place: Scene): number {
  return place.gateway.output().split('"state":"applied"').length;
}

function inside(name: string) {
  const networks = [LAB.internal.network, LAB.internal.ipv6Network];
  const all = networks.map((cidr) => ({ cidr }));
  const one = networks.map((cidr) => ({ cidr, ports: [CLOSED_PORT] }));
  const rules = [
    { name: "closed", action: "deny", destinations: one },
    { name: "everything else", action: "allow", protocol: "any", destinations: all },
  ];
  return { name, groups: ["*"], rules };
}

/** Whether a new connection of the client to this port of the internal host comes about. */
function isReached(place: Scene, port: number): Promise<boolean> {
  const connect = `exec 3<>/dev/tcp/${LAB.internal.ipv4}/${port}`;
  const words = ["timeout", `${CONNECT_SECONDS}`, "bash", "-c", connect];
  return place.lab.run("client", words).then(
    () => true,
    () => false,
  );
}

/** Of a new connection, the fingerprint. */
async function shownCertificate(place: Scene): Promise<string> {
  const line = `openssl s_client -connect ${LAB.gateway.ipv4}:443 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256`;
  return await place.lab.run("client", ["bash", "-c", line]);
}

function authenticate(
  place: Scene,
  device: { certificateFile: string; keyFile: string },
): string[] {
  const identity = ["-c", device.certificateFile, "-k", device.keyFile];
  const server = ["--cafile", place.papers.serverCaFile, ...place.urlWords()];
  const words = ["--authenticate", "--non-inter", ...identity, ...server];
  return ["openconnect", ...words, "https://localhost/"];
}

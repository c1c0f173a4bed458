import { afterAll, beforeAll, expect, test } from "vitest";
import { LAB } from "../vpn-lab/namespaces.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { startDownload } from "../vpn-lab/running-transfer.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";

/** Certificate, revocations, policy and routes change under a running transfer: no session is lost, the next client sees them. */

const BYTES = 100_000_000;
const BYTES_PER_SECOND = 1_000_000;
const STARTED_BYTES = 500_000;
const MORE_BYTES = 400_000;
const EXTRA_NETWORK = "192.0.2.0/24";

const WAYS = [
  { way: "TLS", words: ["--no-dtls"], revoked: 1 },
  { way: "DTLS", words: [], revoked: 2 },
] as const;

let scene: Scene | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnrld", { devices: 1 + WAYS.length });
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

test.for(WAYS)(
  "everything that can be reloaded is, under a transfer over $way",
  async (one, context) => {
    const place = ready(scene, context);
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
    };
    await until("the transfer runs", () => transfer.received() > STARTED_BYTES, client.output);

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
    await goesOn("policy and routes");

    transfer.hurry();
    expect(await transfer.hash).toBe(payloadHash(BYTES));
    expect((await connected(place))?.sessionId).toBe(before?.sessionId);
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
  const destinations = [LAB.internal.network, LAB.internal.ipv6Network].map((cidr) => ({ cidr }));
  const rules = [{ name: "everything", action: "allow", protocol: "any", destinations }];
  return { name, groups: ["*"], rules };
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

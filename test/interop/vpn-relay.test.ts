import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { missing, peer } from "../peers.ts";
import { findCurlBackport } from "../setup/curl-backport.ts";
import { LAB } from "../vpn-lab/namespaces.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { ready, Scene } from "../vpn-lab/scene.ts";
import { pings, writePayload } from "../vpn-lab/traffic.ts";

/**
 * The relay of a gateway whose port the VPN's front owns: what offers HTTP/2 is handed over by its ALPN; of what offers nothing,
 * as curl does where it speaks HTTP/1.1 to a proxy, its CONNECT tells it from the VPN. A VPN client is there all the while.
 */

const PAYLOAD_BYTES = 150_000_000;
const TIMEOUT_MS = 120_000;
const PAGE = `http://${LAB.internal.ipv4}:8000`;
const PAGE6 = `http://[${LAB.internal.ipv6}]:8000`;

let scene: Scene | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnrly", { devices: 2 });
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

interface Way {
  readonly way: string;
  readonly isBackport: boolean;
  readonly words: readonly string[];
  /** What curl says of the connection to the relay. */
  readonly said: readonly string[];
}

const WAYS: readonly Way[] = [
  {
    way: "HTTP/1.1 CONNECT",
    isBackport: false,
    words: [],
    said: ["< HTTP/1.1 200 "],
  },
  {
    way: "HTTP/2 CONNECT",
    isBackport: true,
    words: ["--proxy-http2"],
    said: ["ALPN: server accepted h2", "CONNECT tunnel: HTTP/2 negotiated"],
  },
];

/** The words that run the way's curl. */
function curlOf({ isBackport }: Way, context: TestContext): readonly string[] {
  if (!isBackport) return [peer("curl", context)];
  const backport = findCurlBackport() ?? missing("curl 8 of bookworm-backports", context);
  const environment = Object.entries(backport.environment).map(([key, value]) => `${key}=${value}`);
  return ["env", ...environment, backport.program];
}

/** To the relay, as the second device. */
function relayWords(place: Scene): string[] {
  const [, device] = place.papers.devices;
  if (!device) throw new Error("no second device");
  const proxy = ["--proxy", "https://localhost:443", "--proxytunnel"];
  const identity = ["--proxy-cert", device.certificateFile, "--proxy-key", device.keyFile];
  const resolve = ["--resolve", `localhost:443:${LAB.gateway.ipv4}`];
  return [...proxy, ...resolve, "--proxy-cacert", place.papers.serverCaFile, ...identity];
}

test.for(WAYS)(
  "150 MB are the same to the last byte, down and up, over $way beside the VPN",
  async (way, context) => {
    const place = ready(scene, context, "ping");
    const program = curlOf(way, context);
    await using client = await place.connect();
    const common = ["-sSv", "--fail", "--max-time", "110", ...way.words, ...relayWords(place)];
    /** What it fetched, as text, and what it said on the way. */
    const curl = async (...words: readonly string[]) => {
      const log = join(place.folder, "curl.log");
      const all = [...program, ...common, "--stderr", log, ...words];
      const said = () => readFileSync(log, "utf8");
      const printed = await place.lab.run("client", all, TIMEOUT_MS).catch((error: Error) => {
        throw new Error(`${said()}\n${place.gateway.output()}`, { cause: error });
      });
      return { printed, said: said() };
    };
    const hash = payloadHash(PAYLOAD_BYTES);
    const fetched = join(place.folder, "fetched");
    const { said } = await curl("-o", fetched, `${PAGE}/${PAYLOAD_BYTES}`);
    for (const line of way.said) expect(said).toContain(line);
    const sum = await place.lab.run("client", ["sha256sum", fetched]);
    expect(sum.split(" ")[0]).toBe(hash);
    const file = writePayload(join(place.folder, "payload"), PAYLOAD_BYTES);
    const sent = await curl("-T", file, "-H", "Expect:", `${PAGE6}/`);
    for (const line of way.said) expect(sent.said).toContain(line);
    expect(sent.printed).toBe(hash);
    expect(await pings(place.lab)).toBe(true);
    expect(client.output()).not.toContain("script: reconnect");
    await client.disconnect();
  },
);

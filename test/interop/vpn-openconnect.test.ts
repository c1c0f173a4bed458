import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SERVER_NAME } from "@isthmus/bench/fixtures/tls-certificates";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { peer, unfit } from "../peers.ts";
import { findTool } from "../tools.ts";
import { HOTEL, LoginScene, TOTP_SECRET, TOTP_USERS, USER } from "../vpn-lab/login-scene.ts";
import { LAB, labObstacle } from "../vpn-lab/namespaces.ts";
import { connectOpenconnect, type OpenconnectClient } from "../vpn-lab/openconnect.ts";
import { AXES, CASES, type OpenconnectCase } from "../vpn-lab/openconnect-cases.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { type RunningTransfer, startDownload } from "../vpn-lab/running-transfer.ts";
import { until } from "../vpn-lab/scene.ts";
import { download, pings, upload, writePayload } from "../vpn-lab/traffic.ts";
import { PASSWORDS, RADIUS_CHALLENGE } from "../vpn-lab/user-servers.ts";

/**
 * Debian's openconnect, as it comes, against the gateway: every way to log in, both TLS versions, every way for packets. Clients
 * that the same befalls are connected at once, each with a transfer under way, and all come back to what they had.
 */

const TOOLS_NEEDED = [
  "openconnect",
  "slapd",
  "slapadd",
  "freeradius",
  "curl",
  "ip",
  "nft",
  "ping",
] as const;
const SMALL_BYTES = 5_000_000;
const TRANSFER_BYTES = 20_000_000;
const BYTES_PER_SECOND = 1_000_000;
const STARTED_BYTES = 200_000;
const ESTABLISHED = "Established DTLS connection";
const GIVEN_UP = "DTLS handshake failed";
const RESUMED_CIPHER = "AES256-GCM-SHA384";

/** A client of a case, connected. */
interface Connected {
  readonly one: OpenconnectCase;
  readonly client: OpenconnectClient;
  readonly address: string;
}

let scene: LoginScene | undefined;

beforeAll(async () => {
  if (labObstacle() !== undefined || TOOLS_NEEDED.some((tool) => !findTool(tool))) return;
  scene = await LoginScene.make("oc");
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

function ready(context: TestContext): LoginScene {
  const obstacle = labObstacle();
  if (obstacle !== undefined) unfit(obstacle, context);
  for (const tool of TOOLS_NEEDED) peer(tool, context);
  if (!scene) throw new Error("the laboratory was not made");
  return scene;
}

describe.each(AXES.incident)("openconnect before and after: %s", (incident) => {
  const cases = CASES.filter((one) => one.incident === incident);
  const starting = new Map<OpenconnectCase, Promise<Connected>>();
  const connected: Connected[] = [];

  // All at once: where UDP vanishes, openconnect gives no tunnel before it has given DTLS up, which takes 12 s.
  beforeAll(() => {
    if (!scene) return;
    for (const [index, one] of cases.entries()) {
      const start = connect(scene, one, index);
      // The case's own test tells it.
      start.catch(() => {});
      starting.set(one, start);
    }
  });

  afterAll(async () => {
    const clients = await Promise.allSettled(starting.values());
    const ends = clients.map(
      (start) => start.status === "fulfilled" && start.value.client[Symbol.asyncDispose](),
    );
    await Promise.all(ends);
  });

  test.for(cases)(
    "logs in by $authentication over TLS $tls with UDP $udp over IPv$outside",
    async (one, context) => {
      const place = ready(context);
      const own = await starting.get(one);
      if (!own) throw new Error("openconnect was not started");
      connected.push(own);
      const { client } = own;
      expect(client.output()).toContain(`(TLS${one.tls})`);
      await client.until(one.udp === "blocked" ? GIVEN_UP : ESTABLISHED);
      for (const family of [4, 6] as const)
        expect(await pings(place.lab, family, client.device), `IPv${family}`).toBe(true);
      const hash = payloadHash(SMALL_BYTES);
      expect(await download(place.lab, SMALL_BYTES, 4, client.device)).toBe(hash);
      const small = writePayload(join(place.folder, "small"), SMALL_BYTES);
      expect(await upload(place.lab, small, 6, client.device)).toBe(hash);
      await expectItsWay(place, own);
    },
  );

  test("all come back to the session that they had, with every byte", async (context) => {
    const place = ready(context);
    expect(connected.map(({ one }) => one)).toEqual(cases);
    const before = await sessionsOf(place, connected);
    await using transfers = new AsyncDisposableStack();
    const running = connected.map((own) => transfers.use(start(place, own)));
    await befall(place, incident, connected, running);
    for (const [index, transfer] of running.entries()) {
      transfer.hurry();
      expect(await transfer.hash, nameOf(cases[index])).toBe(payloadHash(TRANSFER_BYTES));
    }
    const after = await sessionsOf(place, connected);
    const kept = ({ sessionId, address, ipv6Address }: Session) => [
      sessionId,
      address,
      ipv6Address,
    ];
    expect(after.map(kept)).toEqual(before.map(kept));
    for (const own of connected) await expectItsWay(place, own);
  });
});

type Session = Awaited<ReturnType<typeof sessionsOf>>[number];

async function sessionsOf(place: LoginScene, connected: readonly Connected[]) {
  const sessions = await place.gateway.sessions();
  return connected.map(({ address, one }) => {
    const own = sessions.filter((session) => session.address === address);
    expect(own, nameOf(one)).toHaveLength(1);
    const [session] = own;
    if (!session) throw new Error(nameOf(one));
    expect(session.state, nameOf(one)).toBe("connected");
    return session;
  });
}

/** Packets go as the case has it, by what both sides say. */
async function expectItsWay(place: LoginScene, own: Connected): Promise<void> {
  const { one, client } = own;
  const dtls = async () => (await sessionsOf(place, [own]))[0]?.dtls;
  const said = client.output();
  if (one.udp === "blocked") {
    expect(await dtls(), nameOf(one)).toBeUndefined();
    expect(said).not.toContain(ESTABLISHED);
    return;
  }
  await until(`${nameOf(one)} has DTLS`, async () => (await dtls()) !== undefined, client.output);
  if (one.udp === "psk") {
    expect(await dtls()).toMatch(/^PSK-/);
    expect(said).toContain("(DTLS1.2)-(PSK)");
  } else {
    expect(await dtls()).toBe(RESUMED_CIPHER);
    expect(said).not.toContain("(PSK)");
  }
}

function start({ lab }: LoginScene, { client }: Connected): RunningTransfer {
  return startDownload(lab, TRANSFER_BYTES, BYTES_PER_SECOND, client.device);
}

const times = (client: OpenconnectClient, text: string) => client.output().split(text).length - 1;

/** Lets it happen under the transfers, and waits until every client is back. */
async function befall(
  place: LoginScene,
  incident: OpenconnectCase["incident"],
  connected: readonly Connected[],
  running: readonly RunningTransfer[],
): Promise<void> {
  const begun = () => running.every((transfer) => transfer.received() > STARTED_BYTES);
  await until("the transfers run", begun);
  const reconnects = connected.map(({ client }) => times(client, "script: reconnect"));
  const established = connected.map(({ client }) => times(client, ESTABLISHED));
  if (incident === "reconnect") await breakConnections(place);
  if (incident === "roaming") await roam(place);
  if (incident === "restart") await place.killAndRestart();
  for (const [index, { one, client }] of connected.entries()) {
    const isBack = () => times(client, "script: reconnect") > (reconnects[index] ?? 0);
    await until(`${nameOf(one)} is back`, isBack, client.output);
    const hasDtls = () => times(client, ESTABLISHED) > (established[index] ?? 0);
    if (one.udp !== "blocked") await until(`${nameOf(one)} has DTLS`, hasDtls, client.output);
  }
  if (incident === "roaming") await expectElsewhere(place, connected);
}

async function breakConnections({ lab }: LoginScene): Promise<void> {
  await lab.run("gateway", ["ss", "-K", "state", "established", "sport", "=", ":443"]);
}

const ELSEWHERE = { ipv4: "10.99.1.77", ipv6: "fd99:1::77" } as const;

/** The client's machine has other addresses all at once, as a phone that leaves the house. */
async function roam({ lab }: LoginScene): Promise<void> {
  const { ipv4, ipv6 } = LAB.client;
  await lab.ip("client", `addr add ${ELSEWHERE.ipv4}/24 dev outside`);
  await lab.ip("client", `addr add ${ELSEWHERE.ipv6}/64 dev outside nodad`);
  await lab.ip("client", `addr del ${ipv6}/64 dev outside`);
  await lab.run("client", ["sysctl", "-qw", "net.ipv4.conf.outside.promote_secondaries=1"]);
  await lab.ip("client", `addr del ${ipv4}/24 dev outside`);
}

async function expectElsewhere(place: LoginScene, connected: readonly Connected[]): Promise<void> {
  const sessions = await sessionsOf(place, connected);
  for (const [index, { one }] of connected.entries()) {
    const address = one.outside === 4 ? ELSEWHERE.ipv4 : ELSEWHERE.ipv6;
    expect(sessions[index]?.remoteAddress, nameOf(one)).toBe(address);
  }
}

function nameOf(one: OpenconnectCase | undefined): string {
  return Object.values(one ?? {}).join(", ");
}

async function connect(place: LoginScene, one: OpenconnectCase, index: number): Promise<Connected> {
  const client = await connectOpenconnect(place.lab, {
    folder: place.folder,
    url: `https://${SERVER_NAME}/${one.authentication}`,
    caFile: place.certificates.caFile,
    device: `vpn${index}`,
    words: wordsFor(place, one),
    input: inputFor(one.authentication),
  });
  const [, address = ""] = /tunnel \w+ is up: (\S+)/.exec(client.output()) ?? [];
  return { one, client, address };
}

function wordsFor(place: LoginScene, one: OpenconnectCase): string[] {
  const { authentication, tls, udp, outside } = one;
  const of = udp === "blocked" ? HOTEL : LAB.gateway;
  const address = outside === 4 ? of.ipv4 : of.ipv6;
  const words = ["--resolve", `${SERVER_NAME}:${address}`, "--force-dpd", "2"];
  if (tls === "1.2") words.push("--gnutls-priority", "NORMAL:-VERS-TLS1.3");
  if (udp === "resumption") words.push("--dtls12-ciphers", RESUMED_CIPHER);
  if (authentication === "certificate") {
    const { certificateFile, keyFile } = place.certificates.device;
    return [...words, "-c", certificateFile, "-k", keyFile];
  }
  if (authentication === "oidc")
    return [...words, "--external-browser", writeBrowser(place, address)];
  words.push("--user", userOf(one));
  if (authentication === "totp")
    words.push("--token-mode=totp", `--token-secret=base32:${TOTP_SECRET}`);
  return [...words, "--passwd-on-stdin"];
}

/** Another for each client: a login makes way for one of the same user's from the same machine. */
function userOf({ authentication, incident }: OpenconnectCase): string {
  if (authentication === "radius") return RADIUS_CHALLENGE.user;
  if (authentication === "ldap") return "bob@example.com";
  return (authentication === "totp" && TOTP_USERS[AXES.incident.indexOf(incident)]) || USER;
}

function inputFor(authentication: OpenconnectCase["authentication"]): string {
  if (authentication === "radius")
    return `${RADIUS_CHALLENGE.password}\n${RADIUS_CHALLENGE.code}\n`;
  return authentication === "certificate" ? "" : `${PASSWORDS.alice}\n`;
}

/** What the system opens for a login: a browser that signs in without a question. */
function writeBrowser({ folder, certificates }: LoginScene, address: string): string {
  const file = join(folder, "browser.sh");
  const at = address.includes(":") ? `[${address}]` : address;
  const resolve = `--resolve ${SERVER_NAME}:443:${at}`;
  const words = `-sS -L --max-redirs 10 --cacert ${certificates.caFile} ${resolve} -c /dev/null`;
  writeFileSync(file, `#!/bin/sh\nexec curl ${words} "$1" > ${file}.log 2>&1\n`);
  chmodSync(file, 0o755);
  return file;
}

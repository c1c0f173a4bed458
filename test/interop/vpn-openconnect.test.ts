import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  DEVICE_ID,
  makeTlsCertificates,
  SERVER_NAME,
  type TlsCertificates,
} from "@isthmus/bench/fixtures/tls-certificates";
import { hashPassword } from "@isthmus/tunnel-gateway/directory/password-hash";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { peer, unfit } from "../peers.ts";
import type { OidcSimulatorOptions } from "../simulators/oidc/oidc-simulator.ts";
import { findTool } from "../tools.ts";
import { type LabGateway, startLabGateway } from "../vpn-lab/gateway.ts";
import { endChild, LAB, Lab, labObstacle, type Machine } from "../vpn-lab/namespaces.ts";
import { connectOpenconnect } from "../vpn-lab/openconnect.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { download, pings, startPayloadServer, upload, writePayload } from "../vpn-lab/traffic.ts";
import {
  LDAP_ACCOUNT,
  PASSWORDS,
  RADIUS_CHALLENGE,
  RADIUS_SECRET,
  startFreeradius,
  startSlapd,
} from "../vpn-lab/user-servers.ts";

/** Debian's openconnect, as it comes, against the gateway: every way to log in, both TLS versions, every way for packets. */

const TOOLS_NEEDED = [
  "openconnect",
  "slapd",
  "slapadd",
  "freeradius",
  "curl",
  "ip",
  "nft",
] as const;
const ISSUER_PORT = 9_000;
const OIDC_SECRET = "the client's secret";
const TOTP_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SMALL_BYTES = 5_000_000;

let folder: string;
let lab: Lab | undefined;
let gateway: LabGateway | undefined;
let certificates: TlsCertificates;
const resources = new AsyncDisposableStack();

const file = (name: string) => join(folder, name);

function secret(name: string, content: string): string {
  writeFileSync(file(name), content, { mode: 0o600 });
  return file(name);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-vpn-"));
  chmodSync(folder, 0o755);
  certificates = await makeTlsCertificates(folder);
  if (labObstacle() !== undefined || TOOLS_NEEDED.some((tool) => !findTool(tool))) return;
  lab = resources.use(await Lab.make("oc"));
  resources.use(await startPayloadServer(lab));
  await startUserServers(lab);
  gateway = resources.use(await startGateway(lab));
});

afterAll(async () => {
  await resources.disposeAsync();
  rmSync(folder, { recursive: true, force: true });
});

async function startUserServers(place: Lab): Promise<void> {
  const at = (machine: Machine, name: string, address: string, port: number) => ({
    folder: file(name),
    address,
    port,
    launch: (words: readonly string[]) => place.start(machine, words),
    run: (words: readonly string[]) => place.run(machine, words),
  });
  // Its certificate is for localhost.
  resources.use(await startSlapd(at("gateway", "slapd", "127.0.0.1", 636), certificates.server));
  const radius = at("internal", "freeradius", LAB.internal.ipv4, 1_812);
  resources.use(await startFreeradius(radius));
  await startProvider(place);
}

/** The OpenID provider, where the client's browser and the gateway both reach it. */
async function startProvider(place: Lab): Promise<void> {
  const options: OidcSimulatorOptions = {
    address: LAB.gateway.ipv4,
    port: ISSUER_PORT,
    clientId: "vpn",
    clientSecret: OIDC_SECRET,
    user: { preferred_username: "alice@example.com", groups: ["staff"] },
  };
  const program = fileURLToPath(new URL("../simulators/oidc/oidc-process.ts", import.meta.url));
  const words = [process.execPath, program, JSON.stringify(options)];
  const child = place.start("gateway", words);
  resources.defer(() => endChild(child));
  await once(child.stdout ?? child, "data");
}

/** What the system opens for a login: a browser that signs in without a question. */
function writeBrowser(): string {
  const resolve = `--resolve ${SERVER_NAME}:443:${LAB.gateway.ipv4}`;
  const words = `-sS -L --max-redirs 10 --cacert ${certificates.caFile} ${resolve} -c /dev/null`;
  writeFileSync(
    file("browser.sh"),
    `#!/bin/sh\nexec curl ${words} "$1" > ${file("browser.log")} 2>&1\n`,
  );
  chmodSync(file("browser.sh"), 0o755);
  return file("browser.sh");
}

async function startGateway(place: Lab): Promise<LabGateway> {
  const passwordHash = await hashPassword(PASSWORDS.alice, Buffer.alloc(16, 5));
  const names = ["alice@example.com", "bob@example.com"];
  const users = { users: names.map((userName) => ({ userName, passwordHash, groups: ["staff"] })) };
  const secrets = Object.fromEntries(names.map((name) => [name, TOTP_SECRET]));
  const group = (name: string, ...authentication: string[]) => ({
    name,
    authentication: [authentication],
    requireDevice: authentication[0] === "certificate",
    routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
    sessionsPerUser: 100,
  });
  return startLabGateway(place, {
    folder: file("gateway"),
    ...certificates.server,
    deviceCaFile: certificates.caFile,
    port: 443,
    deviceIds: [DEVICE_ID],
    groups: [
      group("certificate", "certificate"),
      group("password", "users"),
      group("totp", "users", "totp"),
      group("ldap", "corporate"),
      group("radius", "radius"),
      group("oidc", "oidc"),
    ],
    vpn: {
      authenticators: {
        users: { type: "users", file: secret("users.json", JSON.stringify(users)) },
        totp: {
          type: "totp",
          file: secret("totp.json", JSON.stringify({ secrets })),
        },
        corporate: {
          type: "ldap",
          url: `ldaps://${SERVER_NAME}`,
          caFile: certificates.caFile,
          ...LDAP_ACCOUNT,
          passwordFile: secret("ldap-password", PASSWORDS.admin),
          userFilter: "(|(mail={user})(uid={user}))",
          userNameAttribute: "mail",
        },
        radius: {
          type: "radius",
          servers: [{ host: LAB.internal.ipv4 }],
          secretFile: secret("radius-secret", RADIUS_SECRET),
        },
        oidc: {
          type: "oidc",
          issuer: `http://${LAB.gateway.ipv4}:${ISSUER_PORT}`,
          clientId: "vpn",
          clientSecretFile: secret("oidc-secret", OIDC_SECRET),
        },
      },
    },
  });
}

type Authentication = "certificate" | "password" | "totp" | "ldap" | "radius" | "oidc";

interface Case {
  readonly authentication: Authentication;
  readonly tls: "1.2" | "1.3";
  readonly udp: "psk" | "resumption" | "blocked" | "off";
  readonly outside: 4 | 6;
}

/** Every pair of values occurs in some case. */
const CASES: readonly Case[] = [
  { authentication: "certificate", tls: "1.3", udp: "psk", outside: 4 },
  { authentication: "certificate", tls: "1.2", udp: "blocked", outside: 6 },
  { authentication: "certificate", tls: "1.2", udp: "resumption", outside: 4 },
  { authentication: "password", tls: "1.2", udp: "psk", outside: 6 },
  { authentication: "password", tls: "1.3", udp: "resumption", outside: 6 },
  { authentication: "totp", tls: "1.3", udp: "blocked", outside: 4 },
  { authentication: "totp", tls: "1.2", udp: "psk", outside: 6 },
  { authentication: "ldap", tls: "1.3", udp: "psk", outside: 6 },
  { authentication: "ldap", tls: "1.2", udp: "blocked", outside: 4 },
  { authentication: "radius", tls: "1.2", udp: "psk", outside: 4 },
  { authentication: "radius", tls: "1.3", udp: "blocked", outside: 6 },
  { authentication: "oidc", tls: "1.3", udp: "psk", outside: 4 },
  { authentication: "oidc", tls: "1.2", udp: "blocked", outside: 4 },
];

function ready(context: TestContext): { readonly lab: Lab; readonly gateway: LabGateway } {
  const obstacle = labObstacle();
  if (obstacle !== undefined) unfit(obstacle, context);
  for (const tool of TOOLS_NEEDED) peer(tool, context);
  if (!lab || !gateway) throw new Error("the laboratory was not made");
  return { lab, gateway };
}

test.for(CASES)(
  "openconnect logs in by $authentication over TLS $tls with UDP $udp over IPv$outside",
  async (one, context) => {
    const { lab: place } = ready(context);
    await using _block = one.udp === "blocked" ? await blockUdp(place) : undefined;
    await using client = await connectOpenconnect(place, {
      folder,
      url: `https://${SERVER_NAME}/${one.authentication}`,
      caFile: certificates.caFile,
      words: wordsFor(one),
      input: inputFor(one.authentication),
    });
    expect(client.output()).toContain(`(TLS${one.tls})`);
    if (one.udp === "psk") await client.until("(DTLS1.2)-(PSK)");
    if (one.udp === "resumption") await client.until("Established DTLS connection");
    for (const family of [4, 6] as const)
      expect(await pings(place, family), `IPv${family}`).toBe(true);
    expect(await download(place, SMALL_BYTES)).toBe(payloadHash(SMALL_BYTES));
    const small = writePayload(file("small"), SMALL_BYTES);
    expect(await upload(place, small, 6)).toBe(payloadHash(SMALL_BYTES));
  },
);

function wordsFor({ authentication, tls, udp, outside }: Case): string[] {
  const address = outside === 4 ? LAB.gateway.ipv4 : LAB.gateway.ipv6;
  const { device } = certificates;
  const words = ["--resolve", `${SERVER_NAME}:${address}`];
  if (tls === "1.2") words.push("--gnutls-priority", "NORMAL:-VERS-TLS1.3");
  if (udp === "resumption") words.push("--dtls12-ciphers", "AES256-GCM-SHA384");
  if (udp === "off") words.push("--no-dtls");
  if (authentication === "certificate") {
    return [...words, "-c", device.certificateFile, "-k", device.keyFile];
  }
  if (authentication === "oidc") return [...words, "--external-browser", writeBrowser()];
  // No one-time password is good twice, so each of the cases has a user of its own.
  const named = outside === 4 ? "alice@example.com" : "bob@example.com";
  const user = authentication === "radius" ? RADIUS_CHALLENGE.user : named;
  words.push("--user", user, "--passwd-on-stdin");
  if (authentication === "totp")
    words.push("--token-mode=totp", `--token-secret=base32:${TOTP_SECRET}`);
  return words;
}

function inputFor(authentication: Authentication): string {
  if (authentication === "radius")
    return `${RADIUS_CHALLENGE.password}\n${RADIUS_CHALLENGE.code}\n`;
  return authentication === "certificate" ? "" : `${PASSWORDS.alice}\n`;
}

/** UDP to the gateway vanishes on the client's side, as in many hotels. */
async function blockUdp(place: Lab): Promise<AsyncDisposable> {
  const rules =
    "add table inet hotel; add chain inet hotel out { type filter hook output priority 0; }; add rule inet hotel out udp dport 443 drop";
  await place.run("client", ["nft", rules]);
  return {
    [Symbol.asyncDispose]: async () => {
      await place.run("client", ["nft", "delete table inet hotel"]);
    },
  };
}

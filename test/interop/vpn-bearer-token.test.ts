import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashPassword } from "@isthmus/tunnel-gateway/directory/password-hash";
import { generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import type { OidcSimulatorOptions } from "../simulators/oidc/oidc-simulator.ts";
import { loggedBy } from "../vpn-lab/gateway.ts";
import { endChild, LAB, type Lab } from "../vpn-lab/namespaces.ts";
import { type ConnectOptions, ready, Scene, type SceneOptions, until } from "../vpn-lab/scene.ts";
import { pings } from "../vpn-lab/traffic.ts";

/** Debian's openconnect logs in with a bearer token of an OpenID provider, which it keeps until a 401 asks for it. */

const ISSUER_PORT = 9_000;
const ISSUER = `http://${LAB.gateway.ipv4}:${ISSUER_PORT}`;
const SECRET = "the client's secret";
const OLIVIA = { preferred_username: "olivia@example.com", groups: ["staff"] };
const ALICE = { userName: "alice@example.com", password: "Passw0rd.4" };
const OFFERED = "Attempting HTTP Bearer authentication";
const REFUSED = "401 Unauthorized";

let scene: Scene | undefined;
const providers = new AsyncDisposableStack();

beforeAll(async () => {
  scene = await Scene.make("vpnbt", {}, async (lab, folder) => {
    await startProvider(lab);
    return await sceneOptions(folder);
  });
});

afterAll(async () => {
  await providers.disposeAsync();
  await scene?.[Symbol.asyncDispose]();
});

async function startProvider(lab: Lab): Promise<void> {
  const options: OidcSimulatorOptions = {
    address: LAB.gateway.ipv4,
    port: ISSUER_PORT,
    clientId: "vpn",
    clientSecret: SECRET,
    user: OLIVIA,
  };
  const program = fileURLToPath(new URL("../simulators/oidc/oidc-process.ts", import.meta.url));
  const child = lab.start("gateway", [process.execPath, program, JSON.stringify(options)]);
  providers.defer(() => endChild(child));
  await once(child.stdout ?? child, "data");
}

async function sceneOptions(folder: string): Promise<SceneOptions> {
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const passwordHash = await hashPassword(ALICE.password, Buffer.alloc(16, 5));
  const users = { users: [{ userName: ALICE.userName, passwordHash, groups: [] }] };
  const authenticators = {
    entra: {
      type: "oidc",
      issuer: ISSUER,
      clientId: "vpn",
      clientSecretFile: file("oidc-secret", SECRET),
    },
    local: { type: "users", file: file("users.json", JSON.stringify(users)) },
  };
  const group = (name: string, ...authentication: string[][]) => ({
    ...{ name, authentication, requireDevice: false },
    routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
  });
  const groups = [
    group("entra", ["entra"]),
    group("local", ["local"]),
    group("tokens-first", ["entra"], ["local"]),
    group("passwords-first", ["local"], ["entra"]),
  ];
  // Bans have tests of their own.
  const bans = { failurePoints: 1, banAtPoints: 10_000 };
  return { vpn: { authenticators }, desired: { vpn: { groups, bans } } };
}

/** A token of the provider's own. */
async function issued(place: Scene, query: Readonly<Record<string, string>> = {}): Promise<string> {
  const url = `${ISSUER}/token-for-tests?${new URLSearchParams(query)}`;
  return (await place.lab.run("client", ["curl", "-sS", "--fail", url])).trim();
}

/** All as the provider's, but for the key. */
async function forged(): Promise<string> {
  const { privateKey } = await generateKeyPair("RS256");
  return await new SignJWT({ ...OLIVIA, iss: ISSUER, aud: "vpn" })
    .setProtectedHeader({ alg: "RS256", kid: "simulator-0" })
    .setIssuedAt()
    .setExpirationTime("5m")
    .sign(privateKey);
}

function bringing(
  place: Scene,
  token: string,
  path = "entra",
  more: readonly string[] = [],
): ConnectOptions {
  const file = join(place.folder, "token");
  writeFileSync(file, token, { mode: 0o600 });
  return { path, device: "none", words: ["--token-mode=oidc", `--token-secret=@${file}`, ...more] };
}

/** The claims and the signature are what nobody may read again; the head of a token tells nothing. */
function expectUntold(place: Scene, token: string): void {
  const [, claims = "", signature = ""] = token.split(".");
  expect(claims.length).toBeGreaterThan(20);
  expect(place.gateway.output()).not.toContain(claims);
  expect(place.gateway.output()).not.toContain(signature);
}

async function expectTunnel(
  place: Scene,
  options: ConnectOptions,
  userName: string,
  group: string,
) {
  await using client = await place.connect(options);
  expect(await pings(place.lab)).toBe(true);
  const connected = (await place.sessions()).filter(({ state }) => state === "connected");
  expect(connected).toMatchObject([{ userName, group }]);
  const said = client.output();
  await client.disconnect();
  await until("the session has ended", async () =>
    (await place.sessions()).every(({ state }) => state !== "connected"),
  );
  return said;
}

const here = (context: TestContext) => ready(scene, context, "ping");

describe("a token of the provider", () => {
  test.for([
    ["entra", []],
    ["entra", ["--http-auth=Bearer"]],
    ["tokens-first", []],
  ] as const)("opens a tunnel of the group %s with %j", async ([path, more], context) => {
    const place = here(context);
    const token = await issued(place);
    const options = bringing(place, token, path, more);
    const said = await expectTunnel(place, options, "olivia@example.com", path);
    expect(said).toContain(OFFERED);
    expectUntold(place, token);
  });

  test.for([
    ["another audience", (place: Scene) => issued(place, { aud: "another" })],
    ["another issuer", (place: Scene) => issued(place, { iss: "https://other.example" })],
    ["a time that is over", (place: Scene) => issued(place, { expires: "-120" })],
    ["another key", forged],
  ] as const)("for %s opens none, and counts", async ([, made], context) => {
    const place = here(context);
    const token = await made(place);
    const before = loggedBy(place.gateway, "vpn.login-refused").length;
    await using client = place.start(bringing(place, token));
    await until("openconnect gives up", () => client.process.exitCode !== null, client.output);
    expect(client.output()).toContain(OFFERED);
    expect(client.output()).toContain("the token is not valid here, or no longer");
    expect(client.output()).not.toContain("is up");
    const told = () => loggedBy(place.gateway, "vpn.login-refused").slice(before);
    await until("the log has it", () => told().length > 0);
    const fields = { code: "token-invalid", rule: "authenticator/entra", group: "entra" };
    expect(told()).toMatchObject([{ ...fields, isAttempt: true }]);
    expectUntold(place, token);
  });
});

describe("a client without a token", () => {
  test("signs in by its browser where the group takes tokens", async (context) => {
    const place = here(context);
    const browser = join(place.folder, "browser.sh");
    const { serverCaFile } = place.papers;
    const resolve = `--resolve localhost:443:${LAB.gateway.ipv4}`;
    const words = `-sS -L --max-redirs 10 --cacert ${serverCaFile} ${resolve} -c /dev/null`;
    writeFileSync(browser, `#!/bin/sh\nexec curl ${words} "$1" > ${browser}.log 2>&1\n`);
    chmodSync(browser, 0o755);
    const options = {
      path: "entra",
      device: "none",
      words: ["--external-browser", browser],
    } as const;
    const said = await expectTunnel(place, options, "olivia@example.com", "entra");
    expect(said).not.toContain(REFUSED);
  });

  test("and without a browser is asked once, comes again and ends, which counts for nothing", async (context) => {
    const place = here(context);
    const before = loggedBy(place.gateway, "vpn.login-refused").length;
    await using client = place.start({ path: "entra", device: "none" });
    await until("openconnect gives up", () => client.process.exitCode !== null, client.output);
    expect(client.output()).toContain("No more authentication methods to try");
    expect(client.output()).toContain("No SSO handler");
    expect(loggedBy(place.gateway, "vpn.login-refused")).toHaveLength(before);
  });
});

test.for(["local", "passwords-first"])(
  "the group %s asks for a password and for no token",
  async (path, context) => {
    const place = here(context);
    const more = ["--user", ALICE.userName, "--passwd-on-stdin"];
    const options = bringing(place, await issued(place), path, more);
    const input = `${ALICE.password}\n`;
    const said = await expectTunnel(place, { ...options, input }, ALICE.userName, path);
    expect(said).not.toContain(OFFERED);
    expect(said).not.toContain(REFUSED);
  },
);

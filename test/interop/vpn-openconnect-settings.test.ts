import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { hashPassword } from "@isthmus/tunnel-gateway/directory/password-hash";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { LAB, labObstacle } from "../vpn-lab/namespaces.ts";
import { type ConnectOptions, ready, Scene, until } from "../vpn-lab/scene.ts";
import { pings } from "../vpn-lab/traffic.ts";

/** What a group may say, as Debian's openconnect takes it: lists of authenticators, the list of groups, times. */

const USER = "alice@example.com";
const PASSWORD = "correct horse";
const IDLE_SECONDS = 5;
const SESSION_SECONDS = 8;

let folder: string;
let scene: Scene | undefined;

beforeAll(async () => {
  if (labObstacle() !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "isthmus-vpn-users-"));
  chmodSync(folder, 0o755);
  const file = join(folder, "users.json");
  const passwordHash = await hashPassword(PASSWORD, Buffer.alloc(16, 5));
  const users = [{ userName: USER, passwordHash, groups: [] }];
  writeFileSync(file, JSON.stringify({ users }), { mode: 0o600 });
  const group = (name: string, authentication: readonly (readonly string[])[], more = {}) => ({
    name,
    authentication,
    requireDevice: false,
    routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
    ...more,
  });
  const certificate = [["certificate"]];
  scene = await Scene.make("vpnset", {
    vpn: { authenticators: { users: { type: "users", file } } },
    groups: [
      group("staff", [["users"]], { label: "Our staff" }),
      group("guests", [["users"]], { label: "Guests of ours" }),
      group("both", [["certificate", "users"]]),
      group("either", [["certificate"], ["users"]]),
      group("idle", certificate, { timeouts: { idleSeconds: IDLE_SECONDS } }),
      group("brief", certificate, { timeouts: { sessionSeconds: SESSION_SECONDS } }),
    ],
  });
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

function here(context: TestContext): Scene {
  return ready(scene, context, "ping");
}

/** As somebody who types a name and a password. */
function typing(path: string, password = PASSWORD): ConnectOptions {
  const words = ["--user", USER, "--passwd-on-stdin"];
  return { path, words, input: `${password}\n` };
}

async function groupOfSession(place: Scene): Promise<string | undefined> {
  return (await place.sessions()).find(({ state }) => state === "connected")?.group;
}

/** What openconnect says where it gets no tunnel. */
async function refused(place: Scene, options: ConnectOptions): Promise<string> {
  await using client = place.start(options);
  await until("openconnect gives up", () => client.process.exitCode !== null, client.output);
  expect(client.output()).not.toContain("is up");
  return client.output();
}

describe("the list of groups", () => {
  test("offers every group by its label, and --authgroup chooses one", async (context) => {
    const place = here(context);
    const { words, ...of } = typing("");
    // Of whom it may not ask, openconnect shows the question and gives up.
    const said = await refused(place, { ...of, words: words ?? [], device: "none" });
    expect(said).toContain("Group: [Our staff|Guests of ours|both|either|idle|brief]");
    for (const [label, name] of [
      ["Our staff", "staff"],
      ["Guests of ours", "guests"],
    ] as const) {
      const chosen = [...(words ?? []), "--authgroup", label];
      await using client = await place.connect({ ...of, words: chosen, device: "none" });
      expect(await groupOfSession(place)).toBe(name);
      expect(await pings(place.lab)).toBe(true);
      await client.disconnect();
    }
  });
});

describe("a group that wants a certificate and a password", () => {
  test("lets in who has both", async (context) => {
    const place = here(context);
    await using client = await place.connect(typing("both"));
    expect(await groupOfSession(place)).toBe("both");
    expect(await pings(place.lab)).toBe(true);
    await client.disconnect();
  });

  test("refuses a certificate with a wrong password, and a password without a certificate", async (context) => {
    const place = here(context);
    expect(await refused(place, typing("both", "guessed"))).toMatch(/password/i);
    const said = await refused(place, { ...typing("both"), device: "none" });
    expect(said).toMatch(/certificate/i);
    expect(await groupOfSession(place)).toBeUndefined();
  });
});

describe("a group that wants a certificate or a password", () => {
  test("lets in who has the one, without a question, and who has the other", async (context) => {
    const place = here(context);
    for (const options of [{ path: "either" }, { ...typing("either"), device: "none" as const }]) {
      await using client = await place.connect(options);
      expect(client.output().includes("password")).toBe("device" in options);
      expect(await groupOfSession(place)).toBe("either");
      await client.disconnect();
    }
  });

  test("refuses who has neither", async (context) => {
    const place = here(context);
    const options = { ...typing("either", "guessed"), device: "none" } as const;
    expect(await refused(place, options)).toMatch(/password/i);
  });
});

describe("a certificate of the devices' CA", () => {
  test("that is for servers alone lets nobody in", async (context) => {
    const place = here(context);
    const [good] = place.papers.devices;
    const forServers = await place.papers.issueFor([OID.serverAuth]);
    expect(forServers.deviceId).toBe(good?.deviceId);
    const said = await refused(place, { path: "idle", device: forServers });
    expect(said).toMatch(/certificate/i);
    const forBoth = await place.papers.issueFor([OID.serverAuth, OID.clientAuth]);
    await using client = await place.connect({ path: "either", device: forBoth });
    expect(await pings(place.lab)).toBe(true);
    await client.disconnect();
  });
});

describe("a session's times", () => {
  test("the client knows how long it may be idle, and is told when it was", async (context) => {
    const place = here(context);
    await using client = await place.connect({ path: "idle", script: announcing(place) });
    await client.until(`idle timeout ${IDLE_SECONDS}`);
    const gone = () => client.process.exitCode !== null;
    await until("openconnect gives up", gone, client.output);
    expect(client.output()).toContain("the session was idle for too long");
    expect(place.gateway.output()).toContain('"end":"idle"');
    expect(await groupOfSession(place)).toBeUndefined();
  });

  test("the client knows how long it may last, and is told when it has, however busy it is", async (context) => {
    const place = here(context);
    await using client = await place.connect({ path: "brief" });
    const { output } = client;
    expect(output()).toContain("Session authentication will expire at");
    const busy = ["ping", "-i", "0.5", "-W", "1", LAB.internal.ipv4];
    const pinging = place.lab.start("client", busy);
    await until("openconnect gives up", () => client.process.exitCode !== null, output);
    pinging.kill();
    expect(output()).toContain("the session has reached its longest time; log in again");
    expect(place.gateway.output()).toContain('"end":"session-timeout"');
    expect(await groupOfSession(place)).toBeUndefined();
  });
});

/** A script that says what it is told of time, and does what the laboratory's does. */
function announcing({ folder: own }: Scene): string {
  const file = join(own, "announcing.sh");
  const text = `#!/bin/sh\n[ "$reason" = connect ] && echo "idle timeout $IDLE_TIMEOUT"\nexec "${own}/client-script.sh"\n`;
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}

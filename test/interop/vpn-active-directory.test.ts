import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, type TestContext, test } from "vitest";
import { peer, unfit } from "../peers.ts";
import { LAB, labObstacle } from "../vpn-lab/namespaces.ts";
import { loggedBy } from "../vpn-lab/gateway.ts";
import { type ConnectOptions, ready, Scene, type SceneOptions, until } from "../vpn-lab/scene.ts";
import { type SambaDomain, startSambaDomain, userAttributes } from "./samba/samba-domain.ts";

/** Debian's openconnect logs in with accounts of Active Directory, as Samba makes one, through the gateway. */

const PASSWORD = "Passw0rd.4";
const LOCKOUT_THRESHOLD = 3;
/** [MS-ADTS] section 2.2.16: an ordinary account, one that is disabled, and one whose password stays. */
const CONTROL = { normal: "512", disabled: "514", lasting: "66048" } as const;
/** FILETIME of the year 2012. */
const LONG_AGO = "129700000000000000";
const WRONG = "the user name or the password is wrong";

let domain: SambaDomain | undefined;
let scene: Scene | undefined;

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
  await domain?.[Symbol.asyncDispose]();
});

async function here(context: TestContext): Promise<Scene> {
  const obstacle = labObstacle();
  if (obstacle !== undefined) unfit(obstacle, context);
  for (const tool of ["samba", "ldbadd", "ldbsearch", "ip", "openconnect"] as const)
    peer(tool, context);
  scene ??= await Scene.make("vpnad", {}, async (lab, folder) => {
    domain = await startSambaDomain(context, {
      launch: (words) => lab.start("gateway", words),
      isListening: async (_address, port) => (await lab.listeners("gateway", port)) > 0,
    });
    await fill(domain);
    return sceneOptions(domain, folder);
  });
  return ready(scene, context);
}

function user(name: string, control: string, more: Readonly<Record<string, string>> = {}) {
  return {
    relativeDn: `CN=${name},CN=Users`,
    attributes: {
      ...userAttributes(`${name}.sam`, PASSWORD),
      userPrincipalName: `${name}@corp.test`,
      userAccountControl: control,
      ...more,
    },
  };
}

async function fill({ add, tool, setPasswordTime, baseDn }: SambaDomain): Promise<void> {
  const { normal, disabled, lasting } = CONTROL;
  await add([
    ...["svc-vpn", "alice", "bob", "carol", "mallory"].map((name) => user(name, lasting)),
    user("disabled", disabled),
    user("password-must-change", normal, { pwdLastSet: "0" }),
    user("account-expired", lasting, { accountExpires: LONG_AGO }),
    user("password-expired", normal),
  ]);
  await setPasswordTime("CN=password-expired,CN=Users", LONG_AGO);
  const group = (name: string, member: string) => ({
    relativeDn: `CN=${name},CN=Users`,
    attributes: { objectClass: "group", sAMAccountName: name, member: `${member},${baseDn}` },
  });
  // Bob is in VPN by way of Engineering and Builders; Alice is in Staff herself.
  await add([group("Staff", "CN=alice,CN=Users"), group("Builders", "CN=bob,CN=Users")]);
  await add([group("Engineering", "CN=Builders,CN=Users")]);
  await add([group("VPN", "CN=Engineering,CN=Users")]);
  const lockout = `--account-lockout-threshold=${LOCKOUT_THRESHOLD}`;
  await tool("domain", "passwordsettings", "set", "--quiet", lockout);
}

function sceneOptions({ address, baseDn, caFile }: SambaDomain, folder: string): SceneOptions {
  const passwordFile = join(folder, "svc-vpn.password");
  writeFileSync(passwordFile, PASSWORD, { mode: 0o600 });
  const ldap = {
    ...{ type: "ldap", url: `ldaps://${address}`, caFile, baseDn, passwordFile },
    bindDn: `CN=svc-vpn,CN=Users,${baseDn}`,
  };
  const isUser = "(|(userPrincipalName={user})(sAMAccountName={user}))";
  const isMember = `(memberOf:1.2.840.113556.1.4.1941:=CN=VPN,CN=Users,${baseDn})`;
  const group = (name: string, authenticator: string, more = {}) => ({
    ...{ name, authentication: [[authenticator]], requireDevice: false, ...more },
    routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
  });
  const groups = [
    group("everybody", "corporate"),
    group("staff", "corporate", { members: ["Staff"], pool: "staff" }),
    group("vpn", "nested", { pool: "engineers" }),
    group("direct", "corporate", { members: ["VPN"] }),
    group("upgraded", "upgraded"),
    group("strange", "strange"),
  ];
  const authenticators = {
    corporate: ldap,
    nested: { ...ldap, userFilter: `(&${isUser}${isMember})` },
    upgraded: { ...ldap, url: `ldap://${address}`, startTls: true },
    strange: { ...ldap, caFile: undefined },
  };
  const pools = [
    { name: "staff", networks: ["10.98.0.0/24"] },
    { name: "engineers", networks: ["10.98.64.0/24"] },
  ];
  // Bans have tests of their own.
  const bans = { failurePoints: 1, banAtPoints: 10_000 };
  return { vpn: { authenticators, pools }, desired: { vpn: { groups, bans } } };
}

function typing(path: string, name: string, password = PASSWORD): ConnectOptions {
  const words = ["--user", name, "--passwd-on-stdin"];
  return { path, words, input: `${password}\n`, device: "none" };
}

/** The session that a login has come to. */
async function session(place: Scene, options: ConnectOptions) {
  await using client = await place.connect(options);
  const [found] = (await place.sessions()).filter(({ state }) => state === "connected");
  await client.disconnect();
  await until("the session has ended", async () =>
    (await place.sessions()).every(({ state }) => state !== "connected"),
  );
  return found;
}

/** What the user sees of a refusal, and what the log says of it. */
async function refusal(place: Scene, options: ConnectOptions) {
  const before = loggedBy(place.gateway, "vpn.login-refused").length;
  await using client = place.start(options);
  await until("openconnect gives up", () => client.process.exitCode !== null, client.output);
  const seen = client.output();
  expect(seen).not.toContain("is up");
  await until("the log has it", () => loggedBy(place.gateway, "vpn.login-refused").length > before);
  const [logged] = loggedBy(place.gateway, "vpn.login-refused").slice(before);
  return { seen, logged };
}

describe("an account of the domain", () => {
  test.for(["alice@corp.test", "ALICE@corp.test", "alice.sam"])(
    "logs in as %s and is known by its user principal name",
    async (name, context) => {
      const place = await here(context);
      expect(await session(place, typing("everybody", name))).toMatchObject({
        ...{ userName: "alice@corp.test", group: "everybody" },
      });
    },
  );

  test("logs in over StartTLS", async (context) => {
    const place = await here(context);
    const found = await session(place, typing("upgraded", "alice@corp.test"));
    expect(found).toMatchObject({ userName: "alice@corp.test", group: "upgraded" });
  });

  test("is asked for nowhere where the controller's certificate chains to nothing known", async (context) => {
    const place = await here(context);
    const { seen, logged } = await refusal(place, typing("strange", "alice@corp.test"));
    expect(logged).toMatchObject({ code: "authenticator-unreachable", isAttempt: false });
    expect(seen).toContain("cannot be reached");
  });
});

describe("a group of the domain", () => {
  test("lets its members into the group and the pool that are for them, and nobody else", async (context) => {
    const place = await here(context);
    expect(await session(place, typing("staff", "alice.sam"))).toMatchObject({
      ...{ userName: "alice@corp.test", group: "staff", pool: "staff" },
      address: expect.stringMatching(/^10\.98\.0\.\d+$/),
    });
    const { logged } = await refusal(place, typing("staff", "bob.sam"));
    expect(logged).toMatchObject({ code: "group-not-member", isAttempt: false });
  });

  test("lets in by the matching rule who is in it by way of two others", async (context) => {
    const place = await here(context);
    expect(await session(place, typing("vpn", "bob@corp.test"))).toMatchObject({
      ...{ userName: "bob@corp.test", group: "vpn", pool: "engineers" },
      address: expect.stringMatching(/^10\.98\.64\.\d+$/),
    });
    const { seen, logged } = await refusal(place, typing("vpn", "carol@corp.test"));
    expect(logged).toMatchObject({ code: "credentials-wrong", detail: "no-single-entry" });
    expect(seen).toContain(WRONG);
    const direct = await refusal(place, typing("direct", "bob@corp.test"));
    expect(direct.logged).toMatchObject({ code: "group-not-member" });
  });
});

describe("an account that the domain does not let in", () => {
  const REASONS = [
    "disabled",
    "password-must-change",
    "password-expired",
    "account-expired",
  ] as const;

  async function expectRefused(place: Scene, name: string, detail: string, password = PASSWORD) {
    const { seen, logged } = await refusal(place, typing("everybody", name, password));
    const code = "credentials-wrong";
    expect(logged).toMatchObject({ code, detail, reason: WRONG, isAttempt: true, userName: name });
    expect(seen).toContain(WRONG);
    expect(seen).not.toContain(detail);
  }

  test.for(REASONS)(
    "is refused where it is %s, and only the log says so",
    async (name, context) => {
      const place = await here(context);
      const detail = name === "disabled" ? "account-disabled" : name;
      await expectRefused(place, `${name}.sam`, detail);
    },
  );

  test("is refused with a wrong password, and with the right one too once that has locked it", async (context) => {
    const place = await here(context);
    for (let attempt = 0; attempt < LOCKOUT_THRESHOLD; attempt += 1)
      await expectRefused(place, "mallory.sam", "password-wrong", `guess ${attempt}`);
    await expectRefused(place, "mallory.sam", "account-locked");
    await domain?.tool("user", "unlock", "mallory.sam");
    expect(await session(place, typing("everybody", "mallory.sam"))).toMatchObject({
      userName: "mallory@corp.test",
    });
  });
});

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  makeTlsCertificates,
  type TlsCertificates,
} from "@isthmus/bench/fixtures/tls-certificates";
import { freePort } from "@isthmus/shared/testing/free-port";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { until } from "@isthmus/shared/testing/until";
import type {
  AuthenticationStep,
  Authenticator,
  LoginContext,
} from "@isthmus/tunnel-gateway/core/authenticator";
import {
  type LdapOptions,
  ldapAuthenticator,
} from "@isthmus/tunnel-gateway/directory/ldap-authenticator";
import {
  type RadiusOptions,
  radiusAuthenticator,
} from "@isthmus/tunnel-gateway/directory/radius-authenticator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { peer } from "../peers.ts";
import type { Serving } from "../vpn-lab/serving.ts";
import {
  LDAP_ACCOUNT,
  PASSWORDS,
  RADIUS_CHALLENGE,
  RADIUS_SECRET,
  type ServerPlace,
  startFreeradius,
  startSlapd,
} from "../vpn-lab/user-servers.ts";
import { runPeer } from "./run-peer.ts";

/** Authenticators against servers that nobody here wrote. */
let folder: string;
let certificates: TlsCertificates;

const file = (name: string) => join(folder, name);
const signal = () => AbortSignal.timeout(20_000);
const context: LoginContext = {
  remoteAddress: "192.0.2.1",
  group: "staff",
  userName: undefined,
  bearerToken: undefined,
  publicUrl: "https://vpn.example",
  deviceId: undefined,
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-users-"));
  certificates = await makeTlsCertificates(folder);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function secret(name: string, content: string): string {
  writeFileSync(file(name), content, { mode: 0o600 });
  return file(name);
}

async function place(name: string): Promise<ServerPlace> {
  return {
    folder: file(name),
    address: "127.0.0.1",
    port: await freePort(),
    launch: ([program = "", ...words]) => spawn(program, words),
    run: async ([program = "", ...words]) => (await runPeer(program, words)).text,
  };
}

async function logIn(
  authenticator: Authenticator,
  username: string,
  password: string,
): Promise<AuthenticationStep> {
  const first = await authenticator.begin(context, signal());
  if (first.kind !== "ask") throw new Error(`${first.kind} instead of a form`);
  const answers = new Map(Object.entries({ username, password }));
  return await authenticator.answer(first.state, answers, context, signal());
}

describe("OpenLDAP", () => {
  let options: LdapOptions;
  let startTlsPort: number | undefined;
  let server: Serving | undefined;
  afterAll(async () => await server?.[Symbol.asyncDispose]());

  const start = async (test: Parameters<typeof peer>[1]) => {
    peer("slapd", test);
    const at = await place("slapd");
    startTlsPort ??= await freePort();
    server ??= await startSlapd(at, certificates.server, startTlsPort);
    options ??= {
      url: `ldaps://localhost:${at.port}`,
      startTls: false,
      caFile: certificates.caFile,
      ...LDAP_ACCOUNT,
      passwordFile: secret("ldap-password", PASSWORDS.admin),
      userFilter: "(|(mail={user})(uid={user}))",
      userNameAttribute: "mail",
      groupAttribute: "departmentNumber",
      timeoutSeconds: 5,
    };
    return options;
  };

  test("a user is found by any name of the filter and told with name and groups", async (test) => {
    const authenticator = ldapAuthenticator("corporate", await start(test));
    await authenticator.check(signal());
    for (const name of ["alice", "alice@example.com", "ALICE"]) {
      expect(await logIn(authenticator, name, PASSWORDS.alice)).toEqual({
        kind: "accepted",
        user: { userName: "alice@example.com", groups: ["staff"] },
      });
    }
  });

  test("a wrong password, an unknown name and an empty password are the same refusal", async (test) => {
    const authenticator = ldapAuthenticator("corporate", await start(test));
    const attempts = [
      ["alice", "wrong"],
      ["nobody", PASSWORDS.alice],
      ["alice", ""],
      ["*", PASSWORDS.alice],
      ["alice)(uid=*", PASSWORDS.alice],
      ["twin", PASSWORDS.alice],
      ["passwordless", PASSWORDS.alice],
    ] as const;
    for (const [name, password] of attempts) {
      expect(await logIn(authenticator, name, password), name).toMatchObject({
        kind: "refused",
        isAttempt: true,
        refusal: { code: "credentials-wrong" },
      });
    }
  });

  test("an unknown name costs as many binds as a wrong password", async (test) => {
    const authenticator = ldapAuthenticator("corporate", await start(test));
    const bindsOf = async (name: string) => {
      const before = server?.output().length ?? 0;
      await logIn(authenticator, name, "wrong");
      const told = () => server?.output().slice(before) ?? "";
      // The connection that tried the password is closed after its answer.
      await until(() => [...told().matchAll(/ UNBIND/g)].length >= 2);
      return [...told().matchAll(/ BIND dn=\S+ method=128/g)].length;
    };
    expect(await bindsOf("alice")).toBe(2);
    expect(await bindsOf("nobody")).toBe(2);
    expect(await bindsOf("twin")).toBe(2);
  });

  test("who has no name in the directory is nobody, whatever was typed", async (test) => {
    const authenticator = ldapAuthenticator("corporate", await start(test));
    expect(await logIn(authenticator, "nameless", PASSWORDS.alice)).toMatchObject({
      kind: "refused",
      isAttempt: false,
      refusal: { code: "user-mismatch" },
    });
  });

  test("a connection is upgraded by StartTLS before anything is said", async (test) => {
    const options = await start(test);
    const url = `ldap://localhost:${startTlsPort}`;
    const authenticator = ldapAuthenticator("corporate", { ...options, url, startTls: true });
    expect((await logIn(authenticator, "alice", PASSWORDS.alice)).kind).toBe("accepted");
    const clear = ldapAuthenticator("corporate", { ...options, url });
    expect(await rejectedCode(() => clear.check(signal()))).toBe("ldap-in-the-clear");
    expect(await logIn(clear, "alice", PASSWORDS.alice)).toMatchObject({ isAttempt: false });
  });

  test("a name with characters of the filter language is only a name", async (test) => {
    const authenticator = ldapAuthenticator("corporate", await start(test));
    expect(await logIn(authenticator, "b*b", PASSWORDS.alice)).toMatchObject({
      kind: "accepted",
      user: { userName: "bob@example.com" },
    });
  });

  test("a directory under another certificate, or none at all, is unreachable and nobody's attempt", async (test) => {
    const good = await start(test);
    const { caFile: _, ...publicCas } = good;
    const gone = { ...good, url: `ldaps://localhost:${await freePort()}` };
    for (const bad of [publicCas, gone]) {
      const authenticator = ldapAuthenticator("corporate", bad);
      expect(await logIn(authenticator, "alice", PASSWORDS.alice)).toMatchObject({
        kind: "refused",
        isAttempt: false,
        refusal: { code: "authenticator-unreachable" },
      });
    }
  });
});

describe("FreeRADIUS", () => {
  let options: RadiusOptions;
  let server: Serving | undefined;
  afterAll(async () => await server?.[Symbol.asyncDispose]());

  const start = async (test: Parameters<typeof peer>[1]) => {
    peer("freeradius", test);
    const at = await place("freeradius");
    server ??= await startFreeradius(at);
    options ??= {
      servers: [{ host: "127.0.0.1", port: at.port }],
      secretFile: secret("radius-secret", RADIUS_SECRET),
      nasIdentifier: "isthmus",
      timeoutSeconds: 2,
      retries: 1,
      requireMessageAuthenticator: true,
    };
    return options;
  };

  test("the right password is accepted with the groups of Class, a wrong one is not", async (test) => {
    const authenticator = radiusAuthenticator("radius", await start(test));
    await authenticator.check(signal());
    expect(await logIn(authenticator, "alice", PASSWORDS.alice)).toEqual({
      kind: "accepted",
      user: { userName: "alice", groups: ["staff"] },
    });
    expect(await logIn(authenticator, "alice", "wrong")).toMatchObject({
      kind: "refused",
      refusal: { code: "credentials-wrong" },
    });
  });

  test("a challenge is put to the user and its answer decides", async (test) => {
    const authenticator = radiusAuthenticator("radius", await start(test));
    const { user, password, code } = RADIUS_CHALLENGE;
    const challenge = await logIn(authenticator, user, password);
    if (challenge.kind !== "ask") throw new Error(JSON.stringify(challenge));
    expect(challenge.message).toBe("Enter the code of your token");
    const respond = (response: string) =>
      authenticator.answer(challenge.state, new Map([["response", response]]), context, signal());
    expect(await respond("000000")).toMatchObject({ kind: "refused" });
    expect(await respond(code)).toMatchObject({ kind: "accepted", user: { userName: user } });
  });

  test("a wrong shared secret is told as such, and the next server is asked", async (test) => {
    const good = await start(test);
    const wrong = {
      ...good,
      secretFile: secret("wrong-secret", "guessed"),
      retries: 0,
      timeoutSeconds: 1,
    };
    expect(await rejectedCode(() => radiusAuthenticator("radius", wrong).check(signal()))).toBe(
      "radius-unreachable",
    );
    const gone = { host: "127.0.0.1", port: await freePort() };
    const second = { ...good, servers: [gone, ...good.servers], retries: 0, timeoutSeconds: 1 };
    const authenticator = radiusAuthenticator("radius", second);
    expect(await logIn(authenticator, "alice", PASSWORDS.alice)).toMatchObject({
      kind: "accepted",
    });
  });
});

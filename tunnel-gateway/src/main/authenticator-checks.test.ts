import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { parseIn } from "@isthmus/shared/kernel/configuration-keys";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { vpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import type { Authenticator } from "../core/authenticator.ts";
import { authenticatorChecks, offlineAuthenticatorChecks } from "./authenticator-checks.ts";

test("a server that is away is a warning with reason and remedy, asked once a minute at most", async () => {
  const clock = new FakeClock();
  let asked = 0;
  let fault: Error | undefined = new ConnectorError("radius-unreachable", "RADIUS is silent");
  const radius = {
    name: "radius",
    async check() {
      asked += 1;
      if (fault) throw fault;
    },
  } as unknown as Authenticator;
  const [check] = authenticatorChecks(new Map([["radius", radius]]), () => clock.now());
  expect(check?.name).toBe("authenticator-radius");
  const away = {
    status: "warning",
    reason: "nobody can log in by it: RADIUS is silent",
    remedy: expect.stringContaining("the same secret"),
  };
  expect(await check?.run()).toEqual(away);
  fault = undefined;
  clock.advance(59_999);
  expect(await check?.run()).toEqual(away);
  expect(asked).toBe(1);
  clock.advance(1);
  expect(await check?.run()).toMatchObject({ status: "healthy" });
});

test("before the start, what cannot be asked is unhealthy", async () => {
  using folder = temporaryFolder();
  const file = (name: string, content: string) => {
    writeFileSync(join(folder.path, name), content, { mode: 0o600 });
    return name;
  };
  const configuration = parseIn(folder.path, vpnLocalConfiguration, {
    network: "10.98.0.0/16",
    authenticators: {
      good: { type: "users", file: file("users.json", '{"users":[]}') },
      broken: { type: "totp", file: file("secrets.json", "{") },
    },
  });
  if (!configuration.data) throw configuration.error;
  const checks = offlineAuthenticatorChecks(configuration.data);
  const results = await Promise.all(
    checks.map(async ({ name, run }) => ({ name, ...(await run()) })),
  );
  expect(results).toMatchObject([
    { name: "authenticator-good", status: "healthy" },
    { name: "authenticator-broken", status: "unhealthy", remedy: expect.stringContaining("mend") },
  ]);
});

const ldap = (more: object) => ({
  type: "ldap",
  url: "ldaps://directory.example",
  bindDn: "cn=search",
  passwordFile: "password",
  baseDn: "dc=example",
  ...more,
});

test.each([
  ["a name of 51 characters", { ["a".repeat(51)]: ldap({}) }, "authenticators"],
  ["passwords in the clear", { one: ldap({ url: "ldap://directory.example" }) }, "in the clear"],
  ["a filter without the user", { one: ldap({ userFilter: "(uid=alice)" }) }, "has no {user}"],
  [
    "33 authenticators",
    Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`a${at}`, ldap({})])),
    "at most 32",
  ],
])("%s is a fault of the configuration", (_what, authenticators, said) => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "password"), "p", { mode: 0o600 });
  const { error } = parseIn(folder.path, vpnLocalConfiguration, {
    network: "10.98.0.0/16",
    authenticators,
  });
  const told = error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("\n");
  expect(told).toContain(said);
});

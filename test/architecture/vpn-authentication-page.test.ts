import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseIn } from "@isthmus/shared/kernel/configuration-keys";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { vpnConfiguration } from "@isthmus/tunnel-gateway/config/vpn-configuration";
import { vpnLocalConfiguration } from "@isthmus/tunnel-gateway/config/vpn-local-configuration";
import { REFUSAL_CODES } from "@isthmus/tunnel-gateway/core/refusal";
import { makeAuthenticators } from "@isthmus/tunnel-gateway/directory/authenticators";
import { afterAll, beforeAll, expect, test } from "vitest";

const page = readFileSync("docs/tunnel-gateway/authentication.md", "utf8");
const blocks = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(([, text = ""]) =>
  JSON.parse(text),
);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-page-"));
  const files = ["corp-root.pem", "svc-vpn.password", "radius.secret", "entra.secret"];
  for (const file of [...files, "users.json", "codes.json"]) {
    const block = blocks.find(
      (one) => file === (one.users ? "users.json" : one.secrets ? "codes.json" : ""),
    );
    writeFileSync(join(folder, file), JSON.stringify(block ?? {}), { mode: 0o600 });
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const configurations = blocks.filter(({ vpn }) => vpn !== undefined);

test("the page shows every kind of authenticator", () => {
  const shown = configurations.flatMap(({ vpn }) =>
    Object.values<{ type: string }>(vpn.authenticators ?? {}),
  );
  expect(shown.map(({ type }) => type).toSorted()).toEqual([
    "ldap",
    "oidc",
    "radius",
    "totp",
    "users",
  ]);
});

test.each(configurations)("the configuration %j is valid", (block) => {
  const { error } =
    "groups" in block.vpn
      ? parseIn(folder, vpnConfiguration, block.vpn)
      : parseIn(folder, vpnLocalConfiguration, block.vpn);
  expect(error?.issues).toBeUndefined();
});

test("groups of the page refer to authenticators of the page", () => {
  const names = configurations.flatMap(({ vpn }) => Object.keys(vpn.authenticators ?? {}));
  const used = configurations.flatMap(({ vpn }) =>
    (vpn.groups ?? []).flatMap((group: { authentication: string[][] }) =>
      group.authentication.flat(),
    ),
  );
  expect(used.filter((name) => name !== "certificate" && !names.includes(name))).toEqual([]);
});

test("the files of users and codes hold what their authenticators read", async () => {
  const steps = { take: async () => true };
  const file = (name: string) => join(folder, name);
  const made = makeAuthenticators(
    {
      local: { type: "users", file: file("users.json") },
      codes: { type: "totp", file: file("codes.json") },
    },
    { clock: new FakeClock(), steps },
  );
  for (const one of made.values()) await one.check(AbortSignal.timeout(1_000));
});

test("every code that the page explains is one", () => {
  const codes = [...page.matchAll(/^\| `([a-z-]+)` \| /gm)].map(([, code]) => code);
  const known: ReadonlySet<string | undefined> = new Set(REFUSAL_CODES);
  expect(codes.filter((code) => code?.includes("-") && !known.has(code))).toEqual([]);
  expect(codes).toContain("authenticator-unreachable");
});

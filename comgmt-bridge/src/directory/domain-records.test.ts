import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import type { Entry } from "ldapts";
import { expect, test } from "vitest";
import { attributesOf, facetsOf, keyOf, membersFacet, recordOf } from "./domain-records.ts";

const GUID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const OTHER = "11111111-2222-3333-4444-555555555555";
const DN = "CN=Doe\\, Jane,OU=People,DC=corp,DC=test";
const entry = (
  attributes: Omit<Entry, "dn"> = {},
  dn = `<GUID=${GUID}>;<SID=S-1-5-21-1>;${DN}`,
) => ({
  dn,
  objectGUID: Buffer.from("3c2d1e0f5a4b78698796a5b4c3d2e1f0", "hex"),
  objectSid: Buffer.from(
    "0105000000000005150000000100000002000000030000005004 0000".replace(" ", ""),
    "hex",
  ),
  ...attributes,
});
const facets = (of: Entry, kind: "device" | "user" | "group" = "user") =>
  Object.fromEntries(
    Object.entries(recordOf(kind, of, "corp.test").facets).map(([name, text]) => [
      name,
      JSON.parse(text),
    ]),
  );

test("an object is known by its GUID, SID and names", () => {
  const record = recordOf("user", entry({ cn: "Doe, Jane", mail: "jane@corp.test" }), "corp.test");
  expect(record.key).toBe(GUID);
  expect(facets(entry({ cn: "Doe, Jane", mail: "jane@corp.test" }))).toMatchObject({
    identity: {
      ...{ objectGUID: GUID, objectSid: "S-1-5-21-1-2-3-1104", domain: "corp.test" },
      ...{ distinguishedName: DN, cn: "Doe, Jane", mail: "jane@corp.test" },
    },
    stable: { parent: "OU=People,DC=corp,DC=test" },
  });
});

test("times, numbers, lists and other objects have one form each", () => {
  const { stable, volatile } = facets(
    entry({
      whenCreated: "20260102030405.0Z",
      userAccountControl: "514",
      servicePrincipalName: ["b", "a"],
      proxyAddresses: "smtp:one",
      manager: `<GUID=${OTHER.toUpperCase()}>;<SID=S-1-5-21-9>;CN=Boss,DC=corp,DC=test`,
      lastLogonTimestamp: "134000000000000000",
      pwdLastSet: "0",
      lockoutTime: "9223372036854775807",
    }),
  );
  expect(stable).toMatchObject({
    ...{ whenCreated: "2026-01-02T03:04:05Z", userAccountControl: 514, isEnabled: false },
    ...{ servicePrincipalName: ["a", "b"], proxyAddresses: ["smtp:one"], manager: OTHER },
  });
  expect(volatile).toEqual({ lastLogonTimestamp: "2025-08-18T14:13:20.000Z" });
});

test("what is not of the form it should be is left out", () => {
  const { stable, volatile } = facets(
    entry({
      ...{ whenCreated: "yesterday", userAccountControl: "many", manager: "CN=Boss" },
      ...{ lastLogonTimestamp: "-1", displayName: [] },
    }),
  );
  expect([stable, volatile]).toEqual([{ parent: "OU=People,DC=corp,DC=test" }, {}]);
});

test("every kind is read with the same facets, always", () => {
  for (const kind of ["device", "user", "group"] as const) {
    const record = recordOf(
      kind,
      entry(),
      "corp.test",
      kind === "group" ? { count: 0 } : undefined,
    );
    expect(Object.keys(record.facets)).toEqual(facetsOf(kind));
  }
});

test("nothing that is secret is asked for", () => {
  const all = (["device", "user", "group"] as const).flatMap((kind) => attributesOf(kind));
  const secret =
    /pwd$|passw|laps|mcs-adm|fve|unicode|supplemental|managedpass|keymaterial|history/i;
  expect(all.filter((name) => secret.test(name))).toEqual([]);
});

test("members are in order and once; of too many there is a digest", () => {
  expect(membersFacet([OTHER, GUID, OTHER], 2)).toEqual({ count: 2, members: [GUID, OTHER] });
  const { digest } = membersFacet([OTHER, GUID], 1);
  expect(membersFacet([GUID, OTHER], 1)).toEqual({ count: 2, digest });
  expect(membersFacet([GUID], 0)).toMatchObject({
    count: 1,
    digest: expect.not.stringMatching(`^${digest}$`),
  });
});

test("an entry without a GUID is refused: it could not be told from another", () => {
  expect(thrownCode(() => keyOf({ dn: DN }))).toBe("directory-entry");
});

import { rejectedCode, thrownCode } from "@isthmus/shared/testing/thrown-code";
import { AndFilter, BerWriter, EqualityFilter, type Filter } from "ldapts";
import { expect, test } from "vitest";
import type { Grant } from "../core/grant.ts";
import { AccountDirectory } from "./account-directory.ts";
import { accountFilter, DEFAULT_FILTERS } from "./account-filter.ts";
import { DirectoryPool } from "./directory-pool.ts";
import { parseFilterTemplate, variablesOf } from "./filter-template.ts";

const GUID = "2aefaffd-76be-41b3-8104-bbfaa232b4b8";

function filterOf(template: string, grant: Partial<Grant>): Filter {
  return accountFilter(parseFilterTemplate(template), { subjectAltNames: [], ...grant });
}

/** The filter as it goes over the wire. */
function bytesOf(filter: Filter): string {
  const writer = new BerWriter();
  filter.write(writer);
  return writer.buffer.toString("hex");
}

function equality(attribute: string, value: string | Buffer): string {
  return bytesOf(new EqualityFilter({ attribute, value: Buffer.from(value) }));
}

test.each(["*", "a*b", "(cn=*)", "x)(|(cn=*", "\\", "\\2a", "\0", "a\0*()\\", "é", "{{deviceId}}"])(
  "the value %j stands for itself",
  (userPrincipalName) => {
    const filter = filterOf("(cn={{UserPrincipalName}})", { userPrincipalName });
    expect(bytesOf(filter)).toBe(equality("cn", userPrincipalName));
  },
);

test("a GUID is written as the directory keeps it", () => {
  const octets = Buffer.from("fdafef2abe76b3418104bbfaa232b4b8", "hex");
  const filter = filterOf("(objectGUID={{deviceId:guid}})", { deviceId: GUID });
  expect(bytesOf(filter)).toBe(equality("objectGUID", octets));
  expect(thrownCode(() => filterOf("(objectGUID={{deviceId:guid}})", { deviceId: "pc-1" }))).toBe(
    "directory-key-missing",
  );
});

test("text around a variable and escaped octets are part of the value", () => {
  const filter = filterOf("(&(cn=PC-\\2a{{deviceId}}\\29)(mail=a b))", { deviceId: "7" });
  const parts = [
    new EqualityFilter({ attribute: "cn", value: Buffer.from("PC-*7)") }),
    new EqualityFilter({ attribute: "mail", value: Buffer.from("a b") }),
  ];
  expect(bytesOf(filter)).toBe(bytesOf(new AndFilter({ filters: parts })));
});

test.each([{}, { userPrincipalName: "" }, { userPrincipalName: "x".repeat(513) }])(
  "what the challenge does not bring finds nobody, rather than everybody: %#",
  (grant) => {
    expect(thrownCode(() => filterOf(DEFAULT_FILTERS.user, grant))).toBe("directory-key-missing");
  },
);

test("an attribute without a value finds nobody either", () => {
  const grant = { attributes: { DeviceName: "" } };
  expect(thrownCode(() => filterOf("(cn={{DeviceName}})", grant))).toBe("directory-key-missing");
});

test("a value of 512 characters is looked for", () => {
  const userPrincipalName = "x".repeat(512);
  expect(() => filterOf(DEFAULT_FILTERS.user, { userPrincipalName })).not.toThrow();
});

test.each([
  "",
  "cn=a",
  "(cn=a",
  "(cn=a))",
  "(cn=a)(cn=b)",
  "(&)",
  "(!(cn=a)(cn=b))",
  "(cn>=a)",
  "(cn=a*)",
  "(cn=*a)",
  "(cn=a\\2)",
  "(=a)",
  "(cn={{a)",
  "(c n=a)",
  `${"(!".repeat(10)}(cn=a)${")".repeat(10)}`,
  `(|${"(cn=a)".repeat(65)})`,
])("%j is no filter of ours", (template) => {
  expect(thrownCode(() => parseFilterTemplate(template))).toBe("directory-filter");
});

test("filters nest up to a depth of 8, with 64 parts at a level", () => {
  const nested = `${"(!".repeat(8)}(cn=a)${")".repeat(8)}`;
  expect(() => parseFilterTemplate(nested)).not.toThrow();
  expect(() => parseFilterTemplate(`(|${"(cn=a)".repeat(64)})`)).not.toThrow();
});

test("the variables of a filter are told, to be checked when it is configured", () => {
  const template = "(|(cn=*)(!(a={{X}}))(&(b={{ Y :guid}}{{Z}})))";
  expect(variablesOf(parseFilterTemplate(template))).toEqual(["X", "Y", "Z"]);
});

test.each([
  "(cn={{requestedCommonName}})",
  "(cn={{OnPremisesSecurityIdentifier}})",
  "(cn={{nobody}})",
  "(cn=",
])("%s is a fault of the configuration, with its key", (user) => {
  const address = {
    ...{ name: "ad", urls: [], startTls: true, bindDn: "", password: () => "", timeoutMs: 1 },
  };
  const pool = new DirectoryPool(address, 1);
  const make = () => new AccountDirectory({ pool, baseDn: "", timeoutMs: 1, filters: { user } });
  expect(make).toThrow(expect.objectContaining({ code: "configuration-invalid" }));
  expect(make).toThrow(/directories\.ad\.filters\.user: /);
});

test("a pool that is closed answers nobody", async () => {
  const address = {
    ...{ name: "ad", urls: [], startTls: true, bindDn: "", password: () => "", timeoutMs: 1 },
  };
  const pool = new DirectoryPool(address, 1);
  await pool[Symbol.asyncDispose]();
  expect(await rejectedCode(() => pool.run(async () => 1))).toBe("directory-unreachable");
});

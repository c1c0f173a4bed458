import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import { keytabFault, removeOwnCache, useKeytab } from "./kerberos-environment.ts";

const NAMES = ["KRB5_CLIENT_KTNAME", "KRB5CCNAME"];
const before = NAMES.map((name) => process.env[name]);
beforeEach(() => {
  for (const name of NAMES) delete process.env[name];
});
afterEach(() => {
  for (const [at, name] of NAMES.entries()) {
    const value = before[at];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

test("the library learns of the keytab, and keeps tickets in the state folder", () => {
  useKeytab("/etc/isthmus/a.keytab", "/state");
  useKeytab("/etc/isthmus/a.keytab", "/state");
  expect(process.env["KRB5_CLIENT_KTNAME"]).toBe("FILE:/etc/isthmus/a.keytab");
  expect(process.env["KRB5CCNAME"]).toBe("FILE:/state/kerberos.ccache");
});

test("what the machine says counts where no keytab is named, and its cache always", () => {
  process.env["KRB5_CLIENT_KTNAME"] = "/etc/krb5.client.keytab";
  process.env["KRB5CCNAME"] = "FILE:/run/krb5cc";
  useKeytab(undefined, "/state");
  expect(process.env["KRB5_CLIENT_KTNAME"]).toBe("/etc/krb5.client.keytab");
  expect(process.env["KRB5CCNAME"]).toBe("FILE:/run/krb5cc");
});

test("a second keytab is refused: the library would use one of them for both", () => {
  useKeytab("/a.keytab", "/state");
  expect(thrownCode(() => useKeytab("/b.keytab", "/state"))).toBe("kerberos-keytabs");
});

test("a keytab that is gone is named, one that is there or none is no fault", () => {
  using folder = temporaryFolder();
  expect(keytabFault()).toBeUndefined();
  const file = join(folder.path, "a.keytab");
  useKeytab(file, folder.path);
  expect(keytabFault()).toBe(`there is no keytab ${file}`);
  writeFileSync(file, "keys");
  expect(keytabFault()).toBeUndefined();
});

test("our own tickets can be thrown away, the machine's cannot", () => {
  using folder = temporaryFolder();
  useKeytab(undefined, folder.path);
  const file = join(folder.path, "kerberos.ccache");
  writeFileSync(file, "tickets");
  expect([removeOwnCache(), existsSync(file), removeOwnCache()]).toEqual([true, false, true]);
  const other = join(folder.path, "krb5cc");
  writeFileSync(other, "tickets");
  process.env["KRB5CCNAME"] = `FILE:${other}`;
  expect([removeOwnCache(), existsSync(other)]).toEqual([false, true]);
});

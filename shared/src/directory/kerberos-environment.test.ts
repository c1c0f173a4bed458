import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import { keytabBytes } from "../testing/keytab-bytes.ts";
import { keytabWords, removeOwnCache, useKeytab } from "./kerberos-environment.ts";

const ISTHMUS = "isthmus@CORP.TEST";
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
  expect(keytabWords(ISTHMUS)).toEqual({});
  const file = join(folder.path, "a.keytab");
  useKeytab(file, folder.path);
  expect(keytabWords(undefined)).toEqual({ fault: `there is no keytab ${file}` });
  writeFileSync(file, "keys");
  expect(keytabWords(undefined)).toEqual({});
});

describe("a keytab that does not fit the account", () => {
  const key = { components: ["isthmus"] };
  test.each([
    ["nothing", Buffer.alloc(0), /no keytab: it ends .*; make it anew/],
    ["another file", Buffer.from("-----BEGIN"), /it begins with 2d2d, expected 0502; make it anew/],
    ["no key", keytabBytes([]), /has no key: make it anew for isthmus@CORP\.TEST/],
    ["another account", keytabBytes([{ components: ["web"] }]), /keys of web@CORP\.TEST and none/],
    ["another realm", keytabBytes([{ ...key, realm: "OLD.TEST" }]), /name the realm that it is/],
    ["small letters", keytabBytes([{ ...key, realm: "corp.test" }]), /by capitals alone/],
    ["RC4 alone", keytabBytes([{ ...key, keyType: 23 }]), /no AES key of .* only key types 23:/],
    [
      "many others",
      keytabBytes(Array.from({ length: 9 }, (_, n) => ({ components: [`a${n}`] }))),
      /a4@CORP\.TEST and 4 more and none/,
    ],
  ])("is told why: %s", (_what, bytes, words) => {
    using folder = temporaryFolder();
    const file = join(folder.path, "a.keytab");
    writeFileSync(file, bytes);
    useKeytab(file, folder.path);
    expect(keytabWords(ISTHMUS).fault).toMatch(words);
  });

  test("is not read where it is too large for one, or no file at all", () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "a.keytab");
    writeFileSync(file, "");
    // More than a buffer may have, and without a block on the disk.
    truncateSync(file, 5 * 2 ** 30);
    useKeytab(file, folder.path);
    expect(keytabWords(ISTHMUS).fault).toBe(
      `${file}: This is no keytab: more than 1048576 bytes; make it anew`,
    );
    process.env["KRB5_CLIENT_KTNAME"] = `FILE:${folder.path}`;
    expect(keytabWords(ISTHMUS).fault).toContain("no file: name the keytab itself");
  });

  test("by its number may be seen at the domain alone, so that is named", () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "a.keytab");
    const numbered = [7, 300].map((keyNumber) => ({ ...key, keyNumber }));
    writeFileSync(file, keytabBytes([...numbered, { ...key, keyType: 23 }]));
    useKeytab(file, folder.path);
    expect(keytabWords(ISTHMUS)).toEqual({
      remedy: expect.stringMatching(
        /key number 7, 300, 1 of isthmus@CORP\.TEST: where .*KeyVersion/,
      ),
    });
  });
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

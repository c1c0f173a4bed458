import { expect, test } from "vitest";
import { directoryGroupNames } from "./directory-group.ts";

test.each([
  ["CN=VPN Users,OU=Groups,DC=example", "VPN Users"],
  ["cn=Sales\\, North,ou=x", "Sales, North"],
  ["cn=Sales\\2C North,ou=x", "Sales, North"],
  ["cn=K\\C3\\B6ln,ou=x", "Köln"],
  ["cn=Köln", "Köln"],
  ["cn=a\\+b+uid=7,ou=x", "a+b"],
  ["cn=a+uid=7,ou=x", "a"],
  ["cn = spaced  ,ou=x", "spaced"],
  ["cn=kept\\ ,ou=x", "kept "],
  ["2.5.4.3=by number,ou=x", "by number"],
])("%s is also %s", (text, name) => {
  expect(directoryGroupNames(text)).toEqual([text, name]);
});

test.each([
  "staff",
  "ou=cn=staff,dc=x",
  "ou=Groups,cn=staff",
  "cn=",
  "cn=#0401",
  "cn=a\\FF,ou=x",
  "cn=a\\",
  'cn="quoted",ou=x',
  "xcn=staff",
])("%s has one name", (text) => {
  expect(directoryGroupNames(text)).toEqual([text]);
});

import { expect, test } from "vitest";
import { bindRefusalOf } from "./bind-refusal.ts";

const TEXT = (data: string) =>
  `80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data ${data}, v1db1`;

test.each([
  ["525", "account-unknown"],
  ["52e", "password-wrong"],
  ["52E", "password-wrong"],
  ["0000052e", "password-wrong"],
  ["52f", "account-restricted"],
  ["530", "logon-hours"],
  ["531", "logon-workstation"],
  ["532", "password-expired"],
  ["533", "account-disabled"],
  ["568", "too-many-groups"],
  ["701", "account-expired"],
  ["773", "password-must-change"],
  ["775", "account-locked"],
])("data %s is %s", (data, reason) => {
  expect(bindRefusalOf(TEXT(data))).toBe(reason);
});

test.each([
  ["a number that is not known", TEXT("52d")],
  ["a longer number", TEXT("00000052e")],
  ["no number", TEXT("")],
  ["another server's text", "Invalid credentials, data 533"],
  ["nothing", ""],
])("%s is no reason", (_what, text) => {
  expect(bindRefusalOf(text)).toBeUndefined();
});

test("a text is looked at up to 1,024 characters", () => {
  const text = TEXT("533");
  expect(bindRefusalOf(text.padEnd(1_024))).toBe("account-disabled");
  expect(bindRefusalOf(text.padEnd(1_025))).toBeUndefined();
});

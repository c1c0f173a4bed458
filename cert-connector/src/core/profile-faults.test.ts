import { expect, test } from "vitest";
import { goodProfile } from "./fixture.ts";
import type { Profile } from "./profile.ts";
import { filterFaults, templateFaults } from "./profile-faults.ts";

const directory = { name: "ad", lookUp: "user", required: true, publish: false } as const;

function faults(profile: Partial<Profile>): string[] {
  return templateFaults({ ...goodProfile, ...profile }, new Set(["ad"]));
}

test("a profile of known variables has none", () => {
  expect(
    faults({
      directory,
      securityIdentifier: "directory",
      subject: { template: "CN={{UserName}}+serialNumber={{Device_Serial}}" },
      subjectAltNames: [{ type: "uri", template: "{{OnPremisesSecurityIdentifier}}" }],
    }),
  ).toEqual([]);
  expect(faults({ subject: { template: "{{OnPrem_Distinguished_Name}}" } })).toEqual([]);
});

test("each unknown variable is named, with where it stands", () => {
  const changed = {
    subject: { template: "CN={{UserNam}}" },
    subjectAltNames: [
      { type: "dns", template: "{{DeviceName}}.x" },
      { type: "upn", template: "{{constructor}}@{{}}" },
    ],
  } as const;
  expect(faults(changed)).toEqual([
    'profiles.device.subject.template: there is no variable "UserNam"',
    'profiles.device.subjectAltNames.1.template: there is no variable "constructor"',
    'profiles.device.subjectAltNames.1.template: there is no variable ""',
  ]);
});

test("a subject that is no name is a fault", () => {
  expect(faults({ subject: { template: "{{UserName}}" } })).toEqual([
    "profiles.device.subject.template: not a name as in RFC 4514",
  ]);
});

test("a static challenge without a subject's template would be refused at every device", () => {
  const challenge = { kind: "static", secretName: "s", deviceId: "none" } as const;
  expect(faults({ challenge, subject: "fromChallenge" })).toEqual([
    expect.stringMatching(/^profiles\.device\.subject\.template: is missing/),
  ]);
  expect(faults({ challenge, subject: { template: "CN={{requestedCommonName}}" } })).toEqual([]);
});

test("a security identifier stands in a URI only, and needs a directory", () => {
  const template = "{{OnPremisesSecurityIdentifier}}";
  expect(faults({ subject: { template: `CN=${template}` }, directory })).toHaveLength(1);
  expect(faults({ subjectAltNames: [{ type: "upn", template }], directory })).toHaveLength(1);
  expect(faults({ subjectAltNames: [{ type: "uri", template }] })).toEqual([
    "profiles.device.directory: a security identifier needs a directory to read it from",
  ]);
  expect(faults({ securityIdentifier: "directory" })).toHaveLength(1);
});

test("no account is mapped by a static challenge, which proves none", () => {
  const challenge = { kind: "static", secretName: "s", deviceId: "requestedCommonName" } as const;
  const subject = { template: "CN={{deviceId}}" };
  expect(faults({ challenge, subject, directory, securityIdentifier: "directory" })).toEqual([
    expect.stringMatching(/^profiles\.device\.securityIdentifier: a static challenge/),
  ]);
});

test("a directory that is not there is named", () => {
  expect(faults({ directory: { ...directory, name: "other" } })).toEqual([
    'profiles.device.directory.name: the local configuration has no directory "other"',
  ]);
});

test("an entry is looked for by what a challenge proves", () => {
  expect(filterFaults(["UserName", "DeviceId", "Device_Serial"])).toEqual([]);
  expect(filterFaults(["requestedCommonName", "OnPremisesSecurityIdentifier"])).toHaveLength(2);
  expect(filterFaults(["nobody"])).toEqual(['there is no variable "nobody"']);
});

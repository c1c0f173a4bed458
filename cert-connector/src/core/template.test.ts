import { formatName, parseNameText } from "@isthmus/shared/x509/name-text";
import { describe, expect, test } from "vitest";
import { goodEntry, goodProfile } from "./fixture.ts";
import type { Grant } from "./grant.ts";
import { plannedSubject } from "./planned-names.ts";
import { fillTemplate } from "./template.ts";

const grant: Grant = {
  deviceId: "d-1",
  userPrincipalName: "ada@example.com",
  requestedCommonName: "laptop",
  subjectAltNames: [],
  attributes: { SerialNumber: "5CG1", IMEINumber: "490154203237518", EmailAddress: "cloud@x.test" },
};
const sources = { grant, entry: goodEntry };

test("each variable is replaced, as often as it stands there", () => {
  const template = "{{deviceId}}/{{ userName }}@{{userDomain}}/{{userPrincipalName}}/{{deviceId}}";
  expect(fillTemplate(template, { grant })).toBe("d-1/ada@example.com/ada@example.com/d-1");
  expect(fillTemplate("{{requestedCommonName}}", { grant })).toBe("laptop");
});

test.each([
  ["{{DeviceId}} {{UserName}} {{UserPrincipalName}}", "d-1 ada ada@example.com"],
  ["{{Device_Serial}} {{SERIALNUMBER}}", "5CG1 5CG1"],
  ["{{IMEI}} {{Device_IMEI}} {{imeiNumber}}", "490154203237518 490154203237518 490154203237518"],
  [
    "{{AAD_Device_ID}} {{AzureADDeviceId}}",
    "0a1b2c3d-0000-4000-8000-000000000001 0a1b2c3d-0000-4000-8000-000000000001",
  ],
  ["{{OnPremisesSamAccountName}} {{DeviceName}}", "ada PC-1"],
  ["{{FullyQualifiedDomainName}}", "pc-1.corp.test"],
  ["{{OnPrem_Distinguished_Name}}", "CN=Lovelace\\, Ada,OU=People,DC=corp,DC=test"],
])("Microsoft's names are known, in any case: %s", (template, text) => {
  expect(fillTemplate(template, sources)).toBe(text);
});

test("what the directory says counts before what the challenge says", () => {
  expect(fillTemplate("{{EmailAddress}}", sources)).toBe("ada@corp.test");
  expect(fillTemplate("{{EmailAddress}}", { grant })).toBe("cloud@x.test");
});

test("but the device and user that the challenge proves stay who they are", () => {
  const entry = {
    ...goodEntry,
    variables: { deviceid: "d-2", userprincipalname: "root@corp.test" },
  };
  expect(fillTemplate("{{deviceId}} {{userPrincipalName}}", { grant, entry })).toBe(
    "d-1 ada@example.com",
  );
});

test("a security identifier comes from the directory alone", () => {
  const claimed = { ...grant, attributes: { OnPremisesSecurityIdentifier: "S-1-5-21-1-2-3-500" } };
  expect(() => fillTemplate("{{OnPremisesSecurityIdentifier}}", { grant: claimed })).toThrow(
    expect.objectContaining({ code: "template-variable-missing" }),
  );
});

test("a value that looks like a variable is not expanded again", () => {
  const changed = { ...grant, deviceId: "{{userName}}" };
  expect(fillTemplate("{{deviceId}}", { grant: changed })).toBe("{{userName}}");
});

test.each(["{{nobody}}", "{{}}", "{{constructor}}", "{{__proto__}}", "{{toString}}"])(
  "%s is refused",
  (template) => {
    expect(() => fillTemplate(template, sources)).toThrow(
      expect.objectContaining({ code: "template-variable-missing", rule: "profile.template" }),
    );
  },
);

test("a variable that this grant lacks is refused rather than left out", () => {
  expect(() => fillTemplate("{{userName}}", { grant: { subjectAltNames: [] } })).toThrow(
    expect.objectContaining({ code: "template-variable-missing" }),
  );
});

describe("in a subject", () => {
  function subject(template: string, deviceName: string) {
    const entry = { ...goodEntry, variables: { devicename: deviceName } };
    return plannedSubject({ ...goodProfile, subject: { template } }, { grant, entry });
  }

  test.each([
    "a+CN=b",
    "a;CN=b",
    "a,CN=b",
    "CN=b",
    'a"b',
    "a<b",
    "a>b",
    "a\\b",
    "a\\,CN=b",
    "#04024869",
    " a",
    "a ",
    " ",
    "  a  b  ",
    "\\",
    "a\\ ",
    "ä ö",
  ])("the value %j stays one value of one attribute, and reads back the same", (value) => {
    const name = subject("CN={{DeviceName}}+UID=1,O=Example", value);
    const attributes = name.attributes.flat().map(({ type, value: text }) => [type, text]);
    expect(attributes).toHaveLength(3);
    expect(attributes).toContainEqual(["2.5.4.3", value]);
    const again = parseNameText(formatName(name));
    expect(again.der).toEqual(name.der);
  });

  test("a variable may stand in an attribute whose type takes few characters", () => {
    const profile = {
      ...goodProfile,
      subject: { template: "CN=x+serialNumber={{Device_Serial}}" },
    };
    expect(formatName(plannedSubject(profile, sources))).toBe("CN=x+serialNumber=5CG1");
    const foreign = { ...sources, entry: { ...goodEntry, variables: { serialnumber: "ä" } } };
    expect(() => plannedSubject(profile, foreign)).toThrow();
  });

  test("the name of an entry can be the whole subject, and only by itself", () => {
    const profile = { ...goodProfile, subject: { template: "{{OnPrem_Distinguished_Name}}" } };
    const whole = plannedSubject(profile, sources);
    expect(formatName(whole)).toBe("CN=Lovelace\\, Ada,OU=People,DC=corp,DC=test");
    const part = { ...goodProfile, subject: { template: "CN={{OnPrem_Distinguished_Name}}" } };
    expect(plannedSubject(part, sources).attributes).toHaveLength(1);
  });
});

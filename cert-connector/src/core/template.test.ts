import { expect, test } from "vitest";
import type { Grant } from "./grant.ts";
import { fillTemplate } from "./template.ts";

const grant: Grant = {
  deviceId: "d-1",
  userPrincipalName: "ada@example.com",
  requestedCommonName: "laptop",
  subjectAltNames: [],
};

test("each variable is replaced, as often as it stands there", () => {
  const template = "{{deviceId}}/{{ userName }}@{{userDomain}}/{{userPrincipalName}}/{{deviceId}}";
  expect(fillTemplate(template, grant)).toBe("d-1/ada@example.com/ada@example.com/d-1");
  expect(fillTemplate("{{requestedCommonName}}", grant)).toBe("laptop");
});

test("a value that looks like a variable is not expanded again", () => {
  expect(fillTemplate("{{deviceId}}", { ...grant, deviceId: "{{userName}}" })).toBe("{{userName}}");
});

test.each(["{{nobody}}", "{{}}", "{{constructor}}"])("%s is refused", (template) => {
  expect(() => fillTemplate(template, grant)).toThrow(
    expect.objectContaining({ code: "template-variable-missing", rule: "profile.template" }),
  );
});

test("a variable that this grant lacks is refused rather than left out", () => {
  expect(() => fillTemplate("{{userName}}", { subjectAltNames: [] })).toThrow(
    expect.objectContaining({ code: "template-variable-missing" }),
  );
});

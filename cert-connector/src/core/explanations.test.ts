import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { EXPLANATIONS, explained, explanationOf } from "./explanations.ts";
import { AUTHORITY_EXPLANATIONS } from "./explanations-authority.ts";
import { MESSAGE_EXPLANATIONS } from "./explanations-message.ts";
import { PARTNER_EXPLANATIONS } from "./explanations-partner.ts";
import { REQUEST_EXPLANATIONS } from "./explanations-request.ts";

const SOURCE = fileURLToPath(new URL("..", import.meta.url));

/** Where a code is not written where it is thrown, and what stands there instead. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  "ca/pkcs11-client.ts": ["hsm-token-missing", "hsm-pin-refused", "hsm-failed"],
  "core/enrolment-service.ts": ["notification-refused", "clock-offset"],
  "core/remote-issuance.ts": ["ca-refused"],
  "intune/refusals.ts": ["intune-unknown", "intune-challenge-expired"],
};

/** Codes that reach a device's message or a command from below this service. */
const FROM_BELOW = ["internal", "der-tag", "x509-name", "store-busy", "limit-exceeded"];

interface Thrown {
  readonly codes: readonly string[];
  /** Expressions that no call in the same file explains. */
  readonly unresolved: readonly string[];
}

/** The codes of all errors that a file constructs, also by a function of its own that is given the code or its end. */
function thrownIn(source: string): Thrown {
  const codes: string[] = [];
  const unresolved: string[] = [];
  const thrown =
    /new (?:ConnectorError|RefusalError|ProtocolError)\(\s*(?:"([^"]+)"|`([^`]+)`|\w+ \? "([^"]+)" : "([^"]+)"|([\w.]+))/g;
  for (const match of source.matchAll(thrown)) {
    const [, literal, template, one, other, name] = match;
    if (literal !== undefined) codes.push(literal);
    else if (one !== undefined && other !== undefined) codes.push(one, other);
    else {
      const expression = template ?? name ?? "";
      const found = givenToFunction(source, match.index, template, expression);
      codes.push(...found);
      if (found.length === 0) unresolved.push(expression);
    }
  }
  return { codes, unresolved };
}

function givenToFunction(
  source: string,
  at: number,
  template: string | undefined,
  expression: string,
): string[] {
  const parameter = template === undefined ? expression : /\$\{(\w+)\}/.exec(template)?.[1];
  const functions = source.slice(0, at).matchAll(/(?:function |#)(\w+)\(\s*(\w+)\??: /g);
  const [, name, first] = [...functions].at(-1) ?? [];
  if (name === undefined || first !== parameter) return [];
  const calls = source.matchAll(new RegExp(`\\b${name}\\(\\s*"([^"]+)"`, "g"));
  return [...calls].map(([, given = ""]) => template?.replace(/\$\{\w+\}/, given) ?? given);
}

const files = (readdirSync(SOURCE, { recursive: true }) as string[]).filter(
  (file) => file.endsWith(".ts") && !/(\.test|\.fuzz|fixture)\.ts$/.test(file),
);

describe("every code that is thrown has a cause and a remedy", () => {
  test.each(files)("%s", (file) => {
    const { codes, unresolved } = thrownIn(readFileSync(`${SOURCE}/${file}`, "utf8"));
    const elsewhere = ELSEWHERE[file] ?? [];
    expect([...codes, ...elsewhere].filter((code) => explained(code) === undefined)).toEqual([]);
    if (elsewhere.length === 0) expect(unresolved).toEqual([]);
  });

  test("and so have those from below", () => {
    expect(FROM_BELOW.filter((code) => explained(code) === undefined)).toEqual([]);
  });

  test("the finder sees a code that is missing, one in a function's hands, and one it cannot follow", () => {
    const source = `
      throw new RefusalError("no-such-code", "rule", "text");
      function refusal(what: string) { return new RefusalError(\`some-\${what}\`, "rule", "text"); }
      throw refusal("end");
      throw new ConnectorError(answer.code, "text");`;
    expect(thrownIn(source)).toEqual({
      codes: ["no-such-code", "some-end"],
      unresolved: ["answer.code"],
    });
    expect(explained("no-such-code")).toBeUndefined();
  });
});

test("a code of a family is explained by the longest beginning that has an entry", () => {
  expect(explanationOf("cms-attribute")).toEqual(explanationOf("cms-"));
  expect(explanationOf("cms-algorithm")).not.toEqual(explanationOf("cms-"));
  expect(explanationOf("nothing-of-ours").cause).toBe("this code is not in the table");
});

test("no code has two explanations", () => {
  const tables = [
    AUTHORITY_EXPLANATIONS,
    MESSAGE_EXPLANATIONS,
    PARTNER_EXPLANATIONS,
    REQUEST_EXPLANATIONS,
  ];
  const codes = tables.flatMap((table) => Object.keys(table));
  expect(codes.toSorted()).toEqual(Object.keys(EXPLANATIONS).toSorted());
});

test("causes and remedies are sentences without a full stop, which the reader adds", () => {
  const texts = Object.values(EXPLANATIONS).flat();
  expect(texts.filter((text) => text.length < 10 || /[.\n]$/.test(text))).toEqual([]);
});

import { ConfigurationError, RefusalError } from "@isthmus/shared/errors";
import { describe, expect, test } from "vitest";
import {
  compileDestinations,
  compileExceptions,
  compileRules,
  type DestinationText,
  type RuleBounds,
  type RulesDocument,
} from "./compile-rules.ts";

const devices = { maximumAgeMinutes: 60, graceMinutes: 60 };
const revocation = { softAgeMinutes: 60, hardAgeMinutes: 120 };

function documentWith(...destinations: DestinationText[]): RulesDocument {
  const rule = { name: "open", action: "allow" as const, destinations };
  return { policies: [{ name: "p", groups: ["*"], rules: [rule] }], devices, revocation };
}

const unbounded: RuleBounds = { destinations: undefined };

function fault(document: RulesDocument, bounds = unbounded): Error {
  try {
    compileRules(document, bounds);
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing is wrong");
}

test("every fault is in one message", () => {
  const error = fault(
    documentWith(
      { cidr: "10.1.2.3/8", ports: [443] },
      { name: "no name!", ports: ["9-8"] },
      { cidr: "10.0.0.0/8", ports: [0, "70000"] },
    ),
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as ConfigurationError).faults).toHaveLength(5);
  expect(error.message).toContain("policies.0.rules.0.destinations.0.cidr");
});

test("two rules of one name are refused", () => {
  const { policies } = documentWith({ cidr: "10.0.0.0/8", ports: [443] });
  const document = { policies: [...policies, ...policies], devices, revocation };
  expect(fault(document).message).toContain("two rules are named p/open");
});

test("names are compared in lower case and without a final dot", () => {
  const [set] = compileDestinations([{ name: "Host.Example.", ports: [1] }], "k", []);
  expect(set).toMatchObject({ kind: "name", name: "host.example" });
});

describe("guardrails", () => {
  const bounds = (...texts: DestinationText[]): RuleBounds => ({
    destinations: compileDestinations(texts, "guardrails", []),
  });
  const ten = bounds({ cidr: "10.0.0.0/8", ports: ["1-1000"] });
  const named = bounds({ name: "intranet.example", ports: [443] });

  test.each([
    ["a narrower network", { cidr: "10.1.0.0/16", ports: [443] }, ten],
    ["the same network", { cidr: "10.0.0.0/8", ports: ["1-1000"] }, ten],
    ["a name that may resolve into it", { name: "x.example", ports: [443] }, ten],
    ["the same name", { name: "intranet.example", ports: [443] }, named],
  ])("let %s pass", (_, text, limit) => {
    expect(() => compileRules(documentWith(text), limit)).not.toThrow();
  });

  test.each([
    ["a wider network", { cidr: "0.0.0.0/0", ports: [443] }, ten],
    ["another family", { cidr: "::/0", ports: [443] }, ten],
    ["a port beyond", { cidr: "10.1.0.0/16", ports: ["900-1001"] }, ten],
    ["another name", { name: "vault.example", ports: [443] }, named],
    ["a network where only names are allowed", { cidr: "10.0.0.1/32", ports: [443] }, named],
  ])("refuse %s, with the rule's name", (_, text, limit) => {
    const error = fault(documentWith(text), limit) as RefusalError;
    expect(error).toBeInstanceOf(RefusalError);
    expect(error.rule).toBe("guardrails.tunnel-gateway.destinations");
    expect(error.message).toContain("p/open");
  });

  test("do not touch rules that deny", () => {
    const rule = { name: "all", action: "deny" as const };
    const destinations = [{ cidr: "0.0.0.0/0", ports: ["1-65535"] }];
    const policies = [{ name: "p", groups: ["*"], rules: [{ ...rule, destinations }] }];
    expect(() => compileRules({ policies, devices, revocation }, ten)).not.toThrow();
  });

  test("bound how long old knowledge counts", () => {
    const document = documentWith();
    const at = (change: Partial<RuleBounds>) => () =>
      compileRules(document, { ...unbounded, ...change });
    expect(at({ maximumDeviceAgeMinutes: 120 })).not.toThrow();
    expect(at({ maximumDeviceAgeMinutes: 119 })).toThrow(RefusalError);
    expect(at({ maximumRevocationAgeMinutes: 120 })).not.toThrow();
    expect(at({ maximumRevocationAgeMinutes: 119 })).toThrow(RefusalError);
  });
});

test("an exception without ports opens all of them", () => {
  const faults: string[] = [];
  const [all, some] = compileExceptions(
    ["127.0.0.1", { cidr: "127.0.0.2/32", ports: [80] }, "localhost"],
    "allowedInternal",
    faults,
  );
  expect(all?.ports).toEqual([{ from: 1, to: 65_535 }]);
  expect(some?.ports).toEqual([{ from: 80, to: 80 }]);
  expect(faults).toEqual([
    'allowedInternal.2: "localhost" is no network, e.g. 10.1.0.0/16 without host bits',
  ]);
});

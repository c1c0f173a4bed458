import { Counter, Registry } from "prom-client";
import { expect, test } from "vitest";
import type { AuthenticationStep, Authenticator, LoginContext } from "../core/authenticator.ts";
import type { Refusal } from "../core/refusal.ts";
import { countedAuthenticators } from "./counted-authenticators.ts";

const refusal = (code: Refusal["code"]) => ({ code, rule: "test", message: "no" });
const STEPS: Readonly<Record<string, AuthenticationStep>> = {
  asked: { kind: "ask", message: "", fields: [], state: undefined },
  accepted: { kind: "accepted", user: { userName: "alice", groups: [] } },
  wrong: { kind: "refused", refusal: refusal("credentials-wrong"), isAttempt: true },
  unreachable: {
    kind: "refused",
    refusal: refusal("authenticator-unreachable"),
    isAttempt: false,
  },
  refused: { kind: "refused", refusal: refusal("user-mismatch"), isAttempt: false },
};
const SIGNAL = new AbortController().signal;
const CONTEXT = {} as LoginContext;

async function countOf(answer: () => Promise<AuthenticationStep>): Promise<string> {
  const registers = [new Registry()];
  const labelNames = ["authenticator", "outcome"] as const;
  const counter = new Counter({ name: "n", help: "h", labelNames, registers });
  const inner: Authenticator = {
    name: "ldap",
    begin: answer,
    answer,
    check: async () => {},
  };
  const one = countedAuthenticators(new Map([["ldap", inner]]), counter).get("ldap");
  await one?.begin(CONTEXT, SIGNAL).catch(() => {});
  const { values } = await counter.get();
  return values
    .map(({ labels, value }) => `${labels.authenticator} ${labels.outcome} ${value}`)
    .join();
}

test.each(Object.entries(STEPS))("an answer that is %s counts as that", async (outcome, step) => {
  expect(await countOf(async () => step)).toBe(`ldap ${outcome} 1`);
});

test("an authenticator that throws counts as failed", async () => {
  expect(await countOf(() => Promise.reject(new Error("bug")))).toBe("ldap failed 1");
});

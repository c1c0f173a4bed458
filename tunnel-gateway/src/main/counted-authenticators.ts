import type { AuthenticationStep, Authenticator } from "../core/authenticator.ts";
import type { VpnMetrics } from "./vpn-metrics.ts";

type Outcome = "accepted" | "asked" | "wrong" | "refused" | "unreachable" | "failed";

/** The same authenticators, with each of their answers counted. */
export function countedAuthenticators(
  authenticators: ReadonlyMap<string, Authenticator>,
  counter: VpnMetrics["authentications"],
): ReadonlyMap<string, Authenticator> {
  return new Map(
    [...authenticators].map(([name, one]) => [
      name,
      counted(one, (outcome) => counter.inc({ authenticator: name, outcome })),
    ]),
  );
}

function counted(inner: Authenticator, count: (outcome: Outcome) => void): Authenticator {
  const noted = async (step: Promise<AuthenticationStep>): Promise<AuthenticationStep> => {
    try {
      const taken = await step;
      count(outcomeOf(taken));
      return taken;
    } catch (error) {
      count("failed");
      throw error;
    }
  };
  const { name, takesToken = false, page } = inner;
  return {
    name,
    takesToken,
    begin: (context, signal) => noted(inner.begin(context, signal)),
    answer: (state, answers, context, signal) =>
      noted(inner.answer(state, answers, context, signal)),
    check: (signal) => inner.check(signal),
    ...(page ? { page: (request, signal) => page.call(inner, request, signal) } : {}),
  };
}

function outcomeOf(step: AuthenticationStep): Outcome {
  switch (step.kind) {
    case "ask":
    case "browse":
      return "asked";
    case "accepted":
      return "accepted";
    case "refused":
      if (step.isAttempt) return "wrong";
      return step.refusal.code === "authenticator-unreachable" ? "unreachable" : "refused";
  }
}

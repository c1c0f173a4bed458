import type { AuthenticationStep, Authenticator, LoginContext } from "../core/authenticator.ts";

/** Of a client of which nothing is known yet. */
export const LOGIN_CONTEXT: LoginContext = {
  remoteAddress: "192.0.2.1",
  group: "staff",
  userName: undefined,
  bearerToken: undefined,
  publicUrl: "https://vpn.example",
  deviceId: undefined,
};

/** What one answer to an authenticator's first question comes to. */
export async function answerOnce(
  authenticator: Authenticator,
  answers: Readonly<Record<string, string>>,
  more: Partial<LoginContext> = {},
  signal: AbortSignal = AbortSignal.timeout(20_000),
): Promise<AuthenticationStep> {
  const context = { ...LOGIN_CONTEXT, ...more };
  const step = await authenticator.begin(context, signal);
  if (step.kind !== "ask") throw new Error(`${step.kind} instead of a form`);
  return await authenticator.answer(step.state, new Map(Object.entries(answers)), context, signal);
}

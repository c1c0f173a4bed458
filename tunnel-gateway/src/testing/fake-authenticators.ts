import type {
  AuthenticationStep,
  Authenticator,
  FormField,
  LoginContext,
} from "../core/authenticator.ts";

export const NAME: FormField = { name: "username", label: "Username:", kind: "text" };
export const PASSWORD: FormField = { name: "password", label: "Password:", kind: "password" };

/** An authenticator of people and their passwords, that says what it was asked. */
export function passwords(
  name: string,
  people: Readonly<Record<string, string>>,
  groups: readonly string[] = [],
): Authenticator & { readonly contexts: LoginContext[]; isDown: boolean } {
  const contexts: LoginContext[] = [];
  const refused = (code: "credentials-wrong" | "authenticator-unreachable"): AuthenticationStep => {
    const message =
      code === "credentials-wrong" ? "the user name or the password is wrong" : "unreachable";
    const isAttempt = code === "credentials-wrong";
    return {
      kind: "refused",
      refusal: { code, rule: `authenticator/${name}`, message },
      isAttempt,
    };
  };
  const authenticator = {
    name,
    contexts,
    isDown: false,
    async begin(context: LoginContext): Promise<AuthenticationStep> {
      contexts.push(context);
      const fields = context.userName === undefined ? [NAME, PASSWORD] : [PASSWORD];
      return { kind: "ask", message: "Log in.", fields, state: null };
    },
    async answer(
      _state: unknown,
      answers: ReadonlyMap<string, string>,
      context: LoginContext,
    ): Promise<AuthenticationStep> {
      if (authenticator.isDown) return refused("authenticator-unreachable");
      const userName = context.userName ?? answers.get("username") ?? "";
      if (people[userName] !== answers.get("password")) return refused("credentials-wrong");
      return { kind: "accepted", user: { userName, groups } };
    },
    async check() {},
  };
  return authenticator;
}

/** Wants a code behind what another has asked. */
export const codes: Authenticator = {
  name: "codes",
  async begin() {
    const fields: FormField[] = [{ name: "otp", label: "Code:", kind: "password" }];
    return { kind: "ask", message: "Enter the code.", fields, state: "asked" };
  },
  async answer(state, answers, { userName = "" }) {
    if (state === "asked" && answers.get("otp") === "123456") {
      return { kind: "accepted", user: { userName, groups: [] } };
    }
    const refusal = {
      code: "credentials-wrong",
      rule: "authenticator/codes",
      message: "no",
    } as const;
    return { kind: "refused", refusal, isAttempt: true };
  },
  async check() {},
};

/** Takes a bearer token, or sends to a browser. */
export const tokens: Authenticator = {
  name: "tokens",
  takesToken: true,
  async begin({ bearerToken }) {
    if (bearerToken === "good") {
      return { kind: "accepted", user: { userName: "alice@example.com", groups: ["idp"] } };
    }
    if (bearerToken !== undefined) {
      const refusal = {
        code: "token-invalid",
        rule: "authenticator/tokens",
        message: "no",
      } as const;
      return { kind: "refused", refusal, isAttempt: true };
    }
    const loginUrl = "https://vpn.example/auth/tokens/start";
    const finalUrl = "https://vpn.example/auth/tokens/final";
    const where = { loginUrl, finalUrl, tokenCookie: "sso", errorCookie: "sso-error" };
    return { kind: "browse", message: "Log in.", ...where, state: "s1" };
  },
  async answer(state, answers) {
    const isIt = state === "s1" && answers.get("sso") === "ticket";
    if (isIt) return { kind: "accepted", user: { userName: "alice@example.com", groups: [] } };
    const refusal = { code: "token-invalid", rule: "authenticator/tokens", message: "no" } as const;
    return { kind: "refused", refusal, isAttempt: true };
  },
  async check() {},
};

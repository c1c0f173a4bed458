import type { AuthenticationStep, FormField, LoginContext } from "../core/authenticator.ts";
import type { Refusal } from "../core/refusal.ts";

/** Our own: more is no name and no password, and would only cost hashing. */
const MAX_NAME_CHARACTERS = 256;
const MAX_PASSWORD_CHARACTERS = 1_024;

export interface Credentials {
  readonly userName: string;
  readonly password: string;
}

/** Asks for what is still unknown: the name, unless somebody has said it, and a password. */
export function askForCredentials(context: LoginContext, message: string): AuthenticationStep {
  const name: FormField = { name: "username", label: "Username:", kind: "text" };
  const password: FormField = { name: "password", label: "Password:", kind: "password" };
  const fields = context.userName === undefined ? [name, password] : [password];
  return { kind: "ask", message, fields, state: null };
}

/** What was answered; a name that is known already counts whatever stands in the form. Undefined for what cannot be any. */
export function readCredentials(
  answers: ReadonlyMap<string, string>,
  context: LoginContext,
): Credentials | undefined {
  const userName = (context.userName ?? answers.get("username") ?? "").trim();
  const password = answers.get("password") ?? "";
  const isName = isUserName(userName);
  const isPassword = password !== "" && password.length <= MAX_PASSWORD_CHARACTERS;
  return isName && isPassword ? { userName, password } : undefined;
}

/** The same words whether the name or the password was wrong, or the account is none to log in with; `detail` is for the log. */
export function wrongCredentials(authenticator: string, detail?: string): AuthenticationStep {
  const message = "the user name or the password is wrong";
  const step = refused("credentials-wrong", authenticator, message, true);
  return detail === undefined ? step : { ...step, refusal: { ...step.refusal, detail } };
}

/** The server behind an authenticator does not answer: no attempt of the user's, and worth coming again. */
export function unreachable(authenticator: string): AuthenticationStep {
  const message = "the server that knows the users cannot be reached; try again in a while";
  return refused("authenticator-unreachable", authenticator, message, false);
}

/**
 * What is answered where asking has failed. Whoever went away before the answer gets none, so that what was guessed counts: or
 * else guesses without waiting would cost nothing. @throws the signal's reason
 */
export function failed(authenticator: string, signal: AbortSignal): AuthenticationStep {
  signal.throwIfAborted();
  return unreachable(authenticator);
}

/** A refusal of an authenticator. */
export function refused(
  code: Refusal["code"],
  authenticator: string,
  message: string,
  isAttempt: boolean,
): Extract<AuthenticationStep, { readonly kind: "refused" }> {
  const refusal = { code, rule: `authenticator/${authenticator}`, message };
  return { kind: "refused", refusal, isAttempt };
}

/** Whether a text can be a user's name, whoever says so. */
export function isUserName(text: string): boolean {
  return text !== "" && text.length <= MAX_NAME_CHARACTERS && !/\p{Cc}/u.test(text);
}

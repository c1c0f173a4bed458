import { createHash, generateKeyPairSync, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "@isthmus/shared/clock";
import { codeOf } from "@isthmus/shared/errors";
import type { JWTPayload } from "jose";
import type {
  AuthenticatedUser,
  AuthenticationStep,
  Authenticator,
  AuthenticatorPage,
  AuthenticatorPageRequest,
  LoginContext,
} from "../core/authenticator.ts";
import { listenerUrl, parseStrapKey, sealToken } from "../protocol/external-browser-token.ts";
import { refused, unreachable } from "./credentials-form.ts";
import { browserPage, redirect } from "./oidc-pages.ts";
import { type OidcOptions, OidcProvider } from "./oidc-provider.ts";

/** Own limits: logins in browsers at once, and how long one may take. */
const MAX_LOGINS = 2_000;
const LOGIN_MS = 600_000;
const MAX_GROUPS = 1_000;
/** 190 bits of letters and digits alone: clients take nothing else for a token. */
const TOKEN_CHARACTERS = 32;
const TOKEN_COOKIE = "acSamlv2Token";
const ERROR_COOKIE = "acSamlv2Error";
/** Ties the provider's answer to the browser that was sent there. */
const BROWSER_COOKIE = "isthmus-login";

/** A login that is going on in a browser. */
interface BrowserLogin {
  readonly id: string;
  readonly baseUrl: string;
  readonly verifier: string;
  readonly nonce: string;
  /** The client's key where the system's browser is used. */
  readonly browserKey: string | undefined;
  readonly expiresAt: number;
  result?: { readonly token: string; readonly user: AuthenticatedUser };
}

/**
 * OpenID Connect: by a bearer token that the client brings, or in a browser by the SSO form (authorization code with PKCE).
 * A token of ours, good once and for one login, goes from the browser to the client.
 */
export function oidcAuthenticator(name: string, options: OidcOptions, clock: Clock): Authenticator {
  const provider = new OidcProvider(options, () => clock.now());
  const logins = new Map<string, BrowserLogin>();
  return {
    name,
    async begin(context, signal) {
      const { bearerToken } = context;
      if (bearerToken !== undefined)
        return await byToken(name, options, provider, bearerToken, signal);
      const login = newLogin(`${context.publicUrl}/auth/${name}`, context, clock.now());
      makeRoom(logins, clock.now());
      logins.set(login.id, login);
      return {
        kind: "browse",
        message: "Sign in with your organisation's account.",
        loginUrl: `${login.baseUrl}/start?login=${login.id}`,
        finalUrl: `${login.baseUrl}/done`,
        tokenCookie: TOKEN_COOKIE,
        errorCookie: ERROR_COOKIE,
        state: login.id,
      };
    },
    async answer(state, answers): Promise<AuthenticationStep> {
      const login = logins.get(String(state));
      const token = answers.get(TOKEN_COOKIE) ?? "";
      const isFinished = login?.result && isSame(token, login.result.token);
      if (!login?.result || !isFinished || login.expiresAt < clock.now()) {
        return refused("token-invalid", name, "the sign-in was not finished; try again", true);
      }
      logins.delete(login.id);
      return { kind: "accepted", user: login.result.user };
    },
    async page(request, signal) {
      return await servePage(
        { name, options, provider, logins, now: clock.now() },
        request,
        signal,
      );
    },
    async check(signal) {
      await provider.metadata(signal);
    },
  };
}

async function byToken(
  name: string,
  options: OidcOptions,
  provider: OidcProvider,
  token: string,
  signal: AbortSignal,
): Promise<AuthenticationStep> {
  const audiences = options.audiences ?? [options.clientId];
  try {
    const user = userOf(await provider.verify(token, audiences, signal), options);
    if (user) return { kind: "accepted", user };
    const message = `the token has no claim ${options.userNameClaim}`;
    return refused("token-invalid", name, message, true);
  } catch (error) {
    if (codeOf(error) !== "token-invalid") return unreachable(name);
    return refused("token-invalid", name, "the token is not valid here, or no longer", true);
  }
}

interface Serving {
  readonly name: string;
  readonly options: OidcOptions;
  readonly provider: OidcProvider;
  readonly logins: Map<string, BrowserLogin>;
  readonly now: number;
}

async function servePage(
  serving: Serving,
  request: AuthenticatorPageRequest,
  signal: AbortSignal,
): Promise<AuthenticatorPage> {
  const step = request.url.pathname.slice(`/auth/${serving.name}/`.length);
  if (request.method !== "GET") return browserPage(405, "This page can only be read.");
  try {
    if (step === "start") return await start(serving, request.url, signal);
    if (step === "callback") return await callback(serving, request, signal);
  } catch (error) {
    const isInvalid = codeOf(error) === "token-invalid";
    return isInvalid
      ? browserPage(403, "The sign-in was refused. Close this window and connect again.")
      : browserPage(502, "The sign-in service cannot be reached. Try again in a while.");
  }
  if (step === "done") return browserPage(200, "You are signed in. You can close this window.");
  return browserPage(404, "There is no such page.");
}

/** Sends the browser to the provider (OpenID Connect Core 1.0 section 3.1.2.1). */
async function start(serving: Serving, url: URL, signal: AbortSignal): Promise<AuthenticatorPage> {
  const login = find(serving, url.searchParams.get("login") ?? "");
  if (!login) return EXPIRED;
  const { clientId, scopes } = serving.options;
  const { authorization_endpoint: endpoint } = await serving.provider.metadata(signal);
  const there = new URL(endpoint);
  const parameters = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: `${login.baseUrl}/callback`,
    scope: scopes.join(" "),
    state: login.id,
    nonce: login.nonce,
    code_challenge: createHash("sha256").update(login.verifier).digest("base64url"),
    code_challenge_method: "S256",
  };
  for (const [key, value] of Object.entries(parameters)) there.searchParams.set(key, value);
  const path = `/auth/${serving.name}/`;
  const attributes = `Path=${path}; Secure; HttpOnly; SameSite=Lax`;
  return redirect(there.href, [`${BROWSER_COOKIE}=${login.id}; ${attributes}`]);
}

/** Takes the provider's answer and hands a token of ours to the client. */
async function callback(
  serving: Serving,
  { url, cookies }: AuthenticatorPageRequest,
  signal: AbortSignal,
): Promise<AuthenticatorPage> {
  const state = url.searchParams.get("state") ?? "";
  const login = find(serving, state);
  if (!login || login.result || !isSame(cookies.get(BROWSER_COOKIE) ?? "", state)) return EXPIRED;
  const code = url.searchParams.get("code");
  if (code === null || code.length > 4_096) {
    return browserPage(403, "The sign-in was refused. Close this window and connect again.");
  }
  const { options, provider } = serving;
  const redirectUri = `${login.baseUrl}/callback`;
  const idToken = await provider.redeem({ code, verifier: login.verifier, redirectUri }, signal);
  const claims = await provider.verify(idToken, [options.clientId], signal);
  const user = claims["nonce"] === login.nonce ? userOf(claims, options) : undefined;
  if (!user) return browserPage(403, "The sign-in names no user. Ask your administrator.");
  login.result = { token: newToken(), user };
  return handOver(login, login.result.token);
}

/** By a cookie that the client's own browser sees, or sealed through the system's browser. */
function handOver(login: BrowserLogin, token: string): AuthenticatorPage {
  const done = `${login.baseUrl}/done`;
  if (login.browserKey === undefined) {
    return redirect(done, [`${TOKEN_COOKIE}=${token}; Path=/; Secure`]);
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const clientKey = parseStrapKey(login.browserKey);
  const sealed = sealToken({ token, clientKey, ephemeral: privateKey, iv: randomBytes(12) });
  return redirect(listenerUrl(sealed, done), []);
}

function newLogin(baseUrl: string, context: LoginContext, now: number): BrowserLogin {
  const { browserKey } = context;
  // Refused now rather than when the user has signed in.
  if (browserKey !== undefined) parseStrapKey(browserKey);
  return {
    id: randomBytes(32).toString("base64url"),
    baseUrl,
    verifier: randomBytes(32).toString("base64url"),
    nonce: randomBytes(16).toString("base64url"),
    browserKey,
    expiresAt: now + LOGIN_MS,
  };
}

function find({ logins, now }: Serving, id: string): BrowserLogin | undefined {
  const login = logins.get(id);
  return login && login.expiresAt >= now ? login : undefined;
}

/** The oldest go first: they are in the order in which they began. */
function makeRoom(logins: Map<string, BrowserLogin>, now: number): void {
  for (const [id, { expiresAt }] of logins) {
    if (expiresAt >= now && logins.size < MAX_LOGINS) return;
    logins.delete(id);
  }
}

function userOf(claims: JWTPayload, options: OidcOptions): AuthenticatedUser | undefined {
  const userName = claims[options.userNameClaim];
  if (typeof userName !== "string" || userName === "" || userName.length > 256) return undefined;
  const groups = [claims[options.groupsClaim] ?? []].flat().slice(0, MAX_GROUPS);
  return { userName, groups: groups.filter((group) => typeof group === "string") };
}

const LETTERS_AND_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

function newToken(): string {
  let token = "";
  while (token.length < TOKEN_CHARACTERS) {
    for (const byte of randomBytes(TOKEN_CHARACTERS)) {
      // Bytes that would make some letters likelier are left out.
      if (byte < 248 && token.length < TOKEN_CHARACTERS) token += LETTERS_AND_DIGITS[byte % 62];
    }
  }
  return token;
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

const EXPIRED = browserPage(400, "This sign-in has expired. Close this window and connect again.");

import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { codeOf } from "@isthmus/shared/errors";
import type { AuthenticatorPage, AuthenticatorPageRequest } from "../core/authenticator.ts";
import { listenerUrl, parseStrapKey, sealToken } from "../protocol/external-browser-token.ts";
import type { BrowserLogin, BrowserLogins, BrowserVisit } from "./browser-logins.ts";
import { userOfClaims } from "./oidc-claims.ts";
import { browserPage, redirect } from "./oidc-pages.ts";
import type { OidcOptions, OidcProvider } from "./oidc-provider.ts";
import { isSameSecret } from "./same-secret.ts";

/** As Cisco's servers name them; the client's own browser watches for them at the last page. */
export const TOKEN_COOKIE = "acSamlv2Token";
export const ERROR_COOKIE = "acSamlv2Error";
/** 190 bits of letters and digits alone: clients take nothing else for a token. */
const TOKEN_CHARACTERS = 32;
const MAX_CODE_CHARACTERS = 4_096;

/**
 * The pages of a login in a browser:
 *
 *     start?login=ID      sends the browser to the provider, and ties what comes back to this browser by a cookie
 *     callback            takes the provider's answer (OpenID Connect Core 1.0 section 3.1.2.5)
 *     done                where it ends; the client's own browser finds the token in a cookie
 *
 * Whoever sends a login of his own to somebody else's browser gets nothing by it: the token is only there, and for the system's
 * browser sealed to a client that is there as well.
 */
export class OidcBrowser {
  readonly #name: string;
  readonly #options: OidcOptions;
  readonly #provider: OidcProvider;
  readonly #logins: BrowserLogins;
  /** No other host of the domain can set one of this prefix (RFC 6265bis section 4.1.3.2). */
  readonly #cookie: string;

  constructor(of: {
    readonly name: string;
    readonly options: OidcOptions;
    readonly provider: OidcProvider;
    readonly logins: BrowserLogins;
  }) {
    this.#name = of.name;
    this.#options = of.options;
    this.#provider = of.provider;
    this.#logins = of.logins;
    this.#cookie = `__Host-isthmus-login-${of.name}`;
  }

  async page(request: AuthenticatorPageRequest, signal: AbortSignal): Promise<AuthenticatorPage> {
    if (request.method !== "GET") return browserPage(405, "This page can only be read.");
    const step = request.url.pathname.slice(`/auth/${this.#name}/`.length);
    if (step === "start") return await this.#start(request.url);
    if (step === "callback") return await this.#callback(request, signal);
    if (step !== "done") return browserPage(404, "There is no such page.");
    const sentence = request.cookies.has(ERROR_COOKIE)
      ? "The sign-in was refused. Close this window and connect again, or ask your administrator."
      : "You are signed in. You can close this window.";
    return browserPage(200, sentence);
  }

  /** Sends the browser to the provider (OpenID Connect Core 1.0 section 3.1.2.1). */
  async #start(url: URL): Promise<AuthenticatorPage> {
    const login = this.#logins.find(url.searchParams.get("login") ?? "");
    if (!login || !isAt(login, url)) return EXPIRED;
    let endpoint: string;
    try {
      endpoint = (await this.#provider.metadata()).authorization_endpoint;
    } catch {
      return AWAY;
    }
    const visit = this.#logins.visit(login);
    if (!visit) return EXPIRED;
    const there = new URL(endpoint);
    for (const [key, value] of Object.entries(this.#parameters(login, visit))) {
      there.searchParams.set(key, value);
    }
    return redirect(there.href, [
      `${this.#cookie}=${visit.secret}; Path=/; Secure; HttpOnly; SameSite=Lax`,
    ]);
  }

  #parameters({ baseUrl }: BrowserLogin, visit: BrowserVisit): Readonly<Record<string, string>> {
    const { clientId, scopes } = this.#options;
    return {
      response_type: "code",
      client_id: clientId,
      redirect_uri: `${baseUrl}/callback`,
      scope: scopes.join(" "),
      state: visit.state,
      nonce: visit.nonce,
      code_challenge: createHash("sha256").update(visit.verifier).digest("base64url"),
      code_challenge_method: "S256",
    };
  }

  /** Takes the provider's answer, once, and hands a token of ours to the client. */
  async #callback(
    { url, cookies }: AuthenticatorPageRequest,
    signal: AbortSignal,
  ): Promise<AuthenticatorPage> {
    const secret = cookies.get(this.#cookie) ?? "";
    const state = url.searchParams.get("state") ?? "";
    const taken = this.#logins.takeVisit(state, (visit) => isSameSecret(secret, visit.secret));
    if (!taken || !isAt(taken.login, url)) return EXPIRED;
    const { login, visit } = taken;
    try {
      const token = await this.#signIn(login, visit, url, signal);
      return token === undefined ? refusal(login) : handOver(login, token);
    } catch (error) {
      return codeOf(error) === "token-invalid" ? refusal(login) : AWAY;
    }
  }

  /** The token for the client; undefined where the provider names nobody. */
  async #signIn(
    login: BrowserLogin,
    { nonce, verifier }: BrowserVisit,
    { searchParams }: URL,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const code = searchParams.get("code");
    if (code === null || code === "" || code.length > MAX_CODE_CHARACTERS) return undefined;
    // RFC 9207: an answer of another provider is no answer of ours.
    const issuer = searchParams.get("iss");
    if (issuer !== null && issuer !== (await this.#provider.metadata()).issuer) return undefined;
    const redirectUri = `${login.baseUrl}/callback`;
    const claims = await this.#provider.redeem({ code, verifier, redirectUri }, signal);
    if (claims["nonce"] !== nonce) return undefined;
    const { user } = userOfClaims(this.#name, claims, this.#options);
    if (!user) return undefined;
    const token = newToken();
    login.result = { token, user };
    return token;
  }
}

/** By a cookie that the client's own browser sees, or sealed through the system's browser. */
function handOver({ baseUrl, browserKey }: BrowserLogin, token: string): AuthenticatorPage {
  const done = `${baseUrl}/done`;
  const fine = `${ERROR_COOKIE}=; ${GONE}`;
  if (browserKey === undefined) {
    return redirect(done, [`${TOKEN_COOKIE}=${token}; Path=/; Secure`, fine]);
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const clientKey = parseStrapKey(browserKey);
  const sealed = sealToken({ token, clientKey, ephemeral: privateKey, iv: randomBytes(12) });
  return redirect(listenerUrl(sealed, done), [fine]);
}

/** The client's own browser is told by a cookie at the last page; the system's shows the page to the user. */
function refusal({ baseUrl }: BrowserLogin): AuthenticatorPage {
  const failure = `${ERROR_COOKIE}=refused; Max-Age=60; Path=/; Secure`;
  return redirect(`${baseUrl}/done`, [`${TOKEN_COOKIE}=; ${GONE}`, failure]);
}

/** A login goes on under the name under which the client began it: no other host's pages can take part. */
function isAt({ baseUrl }: BrowserLogin, { origin }: URL): boolean {
  return new URL(baseUrl).origin === origin;
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

const GONE = "Max-Age=0; Path=/; Secure";
const EXPIRED = browserPage(400, "This sign-in has expired. Close this window and connect again.");
const AWAY = browserPage(502, "The sign-in service cannot be reached. Try again in a while.");

import type { Clock } from "@isthmus/shared/clock";
import { codeOf } from "@isthmus/shared/errors";
import type { AuthenticationStep, Authenticator, LoginContext } from "../core/authenticator.ts";
import { parseStrapKey } from "../protocol/external-browser-token.ts";
import { type BrowserLogin, BrowserLogins } from "./browser-logins.ts";
import { failed, refused } from "./credentials-form.ts";
import { ERROR_COOKIE, OidcBrowser, TOKEN_COOKIE } from "./oidc-browser.ts";
import { userOfClaims } from "./oidc-claims.ts";
import { type OidcOptions, OidcProvider } from "./oidc-provider.ts";
import { isSameSecret } from "./same-secret.ts";

/**
 * OpenID Connect: by a bearer token that the client brings, or in a browser by the SSO form (authorization code with PKCE).
 * A token of ours, good once and for one login, goes from the browser to the client.
 */
export function oidcAuthenticator(name: string, options: OidcOptions, clock: Clock): Authenticator {
  const provider = new OidcProvider(options, () => clock.now());
  const logins = new BrowserLogins(() => clock.now());
  const browser = new OidcBrowser({ name, options, provider, logins });
  return {
    name,
    takesToken: true,
    async begin(context, signal) {
      const { bearerToken } = context;
      if (bearerToken === undefined) return browse(name, logins, context);
      return await byToken({ name, options, provider }, bearerToken, signal);
    },
    async answer(state, answers): Promise<AuthenticationStep> {
      const login = logins.find(String(state));
      const isFinished =
        login?.result && isSameSecret(answers.get(TOKEN_COOKIE) ?? "", login.result.token);
      if (!login?.result || !isFinished) {
        return refused("token-invalid", name, "the sign-in was not finished; try again", true);
      }
      logins.end(login);
      return { kind: "accepted", user: login.result.user };
    },
    page: (request, signal) => browser.page(request, signal),
    async check() {
      await provider.check();
    },
  };
}

/** Sends the client's browser to our page, which knows the login by its id. */
function browse(name: string, logins: BrowserLogins, context: LoginContext): AuthenticationStep {
  const { browserKey, publicUrl, remoteAddress: address } = context;
  if (browserKey !== undefined && !isKey(browserKey)) {
    // Refused now rather than when the user has signed in.
    return refused("token-invalid", name, "the client's key for its browser is none", false);
  }
  return stepOf(logins.begin({ baseUrl: `${publicUrl}/auth/${name}`, address, browserKey }));
}

function stepOf({ id, baseUrl }: BrowserLogin): AuthenticationStep {
  return {
    kind: "browse",
    message: "Sign in with your organisation's account.",
    loginUrl: `${baseUrl}/start?login=${id}`,
    finalUrl: `${baseUrl}/done`,
    tokenCookie: TOKEN_COOKIE,
    errorCookie: ERROR_COOKIE,
    state: id,
  };
}

async function byToken(
  of: { readonly name: string; readonly options: OidcOptions; readonly provider: OidcProvider },
  token: string,
  signal: AbortSignal,
): Promise<AuthenticationStep> {
  const { name, options, provider } = of;
  try {
    const claims = await provider.verify(token, options.audiences ?? [options.clientId]);
    const { user, refusal } = userOfClaims(name, claims, options);
    return refusal ?? { kind: "accepted", user };
  } catch (error) {
    if (codeOf(error) !== "token-invalid") return failed(name, signal);
    return refused("token-invalid", name, "the token is not valid here, or no longer", true);
  }
}

function isKey(text: string): boolean {
  try {
    parseStrapKey(text);
    return true;
  } catch {
    return false;
  }
}

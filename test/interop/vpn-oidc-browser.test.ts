import {
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
} from "node:crypto";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import type {
  AuthenticationStep,
  Authenticator,
  AuthenticatorPage,
  LoginContext,
} from "@isthmus/tunnel-gateway/core/authenticator";
import { describe, expect, test } from "vitest";
import {
  CLIENT,
  codeOf,
  context,
  MINUTE_MS,
  type OidcUnderTest,
  PUBLIC_URL,
  signal,
  startOidc as start,
} from "./oidc-under-test.ts";

/** OpenID Connect against a strict provider: sign-ins by a browser. */

/** A browser that keeps cookies by name, and stops where a page does or where nobody here listens. */
class Browser {
  readonly cookies = new Map<string, string>();
  readonly #authenticator: Authenticator;
  /** Where it ended. */
  at = "";
  page: AuthenticatorPage | undefined;

  constructor(authenticator: Authenticator) {
    this.#authenticator = authenticator;
  }

  async open(url: string, host = PUBLIC_URL): Promise<string> {
    for (let next: string | null | undefined = url, hops = 0; next && hops < 10; hops += 1) {
      this.at = next;
      next = next.startsWith(host) ? await this.#ours(next) : await elsewhere(next);
    }
    return this.at;
  }

  /** As far as the provider's answer, which it does not bring back. */
  async goAndStop(url: string): Promise<string> {
    const there = await this.#ours(url);
    return (await elsewhere(there ?? "")) ?? "";
  }

  async #ours(url: string): Promise<string | undefined> {
    const request = { method: "GET", url: new URL(url), cookies: this.cookies, body: "" };
    this.page = await this.#authenticator.page?.(request, signal());
    for (const cookie of this.page?.cookies ?? []) this.#keep(cookie);
    return this.page?.headers.get("Location");
  }

  #keep(text: string): void {
    const [pair = "", ...attributes] = text.split("; ");
    const [name = "", value = ""] = pair.split("=");
    expect(attributes).toContain("Secure");
    if (name.startsWith("__Host-")) expect(attributes).toContain("Path=/");
    if (attributes.includes("Max-Age=0")) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }
}

async function elsewhere(url: string): Promise<string | null> {
  if (url.startsWith("http://localhost:29786/")) return null;
  const answer = await fetch(url, { redirect: "manual" });
  return answer.headers.get("location");
}

async function browse(
  { authenticator }: OidcUnderTest,
  more: Partial<LoginContext> = {},
): Promise<Extract<AuthenticationStep, { kind: "browse" }>> {
  const step = await authenticator.begin({ ...context, ...more }, signal());
  if (step.kind !== "browse") throw new Error(`${step.kind} instead of a browser`);
  return step;
}

function finish(all: OidcUnderTest, { state }: { readonly state: unknown }, token = "") {
  const answers = new Map([["acSamlv2Token", token]]);
  return all.authenticator.answer(state, answers, context, signal());
}

describe("a sign-in by browser", () => {
  test("ends at the last page with a token that is good once, for its own client", async () => {
    await using all = await start();
    const [mine, others] = [await browse(all), await browse(all)];
    const browser = new Browser(all.authenticator);
    expect(await browser.open(mine.loginUrl)).toBe(mine.finalUrl);
    expect(browser.page?.body).toContain("You are signed in");
    const token = browser.cookies.get(mine.tokenCookie);
    expect(token).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(codeOf(await finish(all, others, token))).toBe("token-invalid, counted");
    expect(codeOf(await finish(all, mine, "A".repeat(32)))).toBe("token-invalid, counted");
    const user = { userName: "alice@example.com", groups: ["staff"] };
    expect(await finish(all, mine, token)).toEqual({ kind: "accepted", user });
    expect(codeOf(await finish(all, mine, token))).toBe("token-invalid, counted");
  });

  test("sends the secret as the provider wants it", async () => {
    await using all = await start({ wantsBasic: true });
    const step = await browse(all);
    const browser = new Browser(all.authenticator);
    await browser.open(step.loginUrl);
    expect(browser.cookies.has(step.tokenCookie)).toBe(true);
  });

  test("by the system's browser hands the token over sealed, as openconnect opens it", async () => {
    await using all = await start();
    const client = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const browserKey = client.publicKey.export({ type: "spki", format: "der" }).toString("base64");
    const step = await browse(all, { browserKey });
    const browser = new Browser(all.authenticator);
    const end = new URL(await browser.open(step.loginUrl));
    expect(end.origin).toBe("http://localhost:29786");
    expect(end.searchParams.get("return")).toBe(step.finalUrl);
    expect(browser.cookies.has(step.tokenCookie)).toBe(false);
    const sealed = Buffer.from(
      decodeURIComponent(end.pathname.slice("/api/sso/".length)),
      "base64",
    );
    const token = unseal(sealed, client.privateKey);
    expect((await finish(all, step, token)).kind).toBe("accepted");
  });

  test("does not begin with a key that is none", async () => {
    await using all = await start();
    const step = await all.authenticator.begin({ ...context, browserKey: "AAAA" }, signal());
    expect(codeOf(step)).toBe("token-invalid");
  });

  test("that another browser began ends nowhere: the provider's answer is tied to the browser, and good once", async () => {
    await using all = await start();
    const step = await browse(all);
    const [victim, attacker] = [new Browser(all.authenticator), new Browser(all.authenticator)];
    const answer = await victim.goAndStop(step.loginUrl);
    await attacker.open(answer);
    expect(attacker.page?.status).toBe(400);
    await victim.open(answer);
    expect(victim.at).toBe(step.finalUrl);
    await victim.open(answer);
    expect(victim.page?.status).toBe(400);
  });

  test("goes on where a browser began last", async () => {
    await using all = await start();
    const step = await browse(all);
    const browser = new Browser(all.authenticator);
    const stale = await browser.goAndStop(step.loginUrl);
    const fresh = await browser.goAndStop(step.loginUrl);
    await browser.open(stale);
    expect(browser.page?.status).toBe(400);
    expect(await browser.open(fresh)).toBe(step.finalUrl);
  });

  test("takes no code of somebody else's sign-in", async () => {
    await using all = await start();
    const [mine, theirs] = [await browse(all), await browse(all)];
    const code = async (loginUrl: string, browser: Browser) =>
      new URL(await browser.goAndStop(loginUrl));
    const stolen = await code(theirs.loginUrl, new Browser(all.authenticator));
    const browser = new Browser(all.authenticator);
    const own = await code(mine.loginUrl, browser);
    own.searchParams.set("code", stolen.searchParams.get("code") ?? "");
    await browser.open(own.href);
    expect(browser.at).toBe(mine.finalUrl);
    expect(browser.page?.body).toContain("refused");
    expect(browser.cookies.get(mine.errorCookie)).toBe("refused");
    expect(codeOf(await finish(all, mine, "refused"))).toBe("token-invalid, counted");
  });

  test.each([
    ["says no", { code: undefined, error: "access_denied" }],
    ["is another's", { iss: "https://other.example" }],
    ["has no code", { code: undefined }],
    ["has a code beyond all bounds", { code: "c".repeat(4_097) }],
    ["has a code that nobody gave", { code: "made up" }],
  ])("whose answer %s is refused, and the client's browser told", async (_what, parameters) => {
    await using all = await start();
    const step = await browse(all);
    const browser = new Browser(all.authenticator);
    const answer = new URL(await browser.goAndStop(step.loginUrl));
    for (const [key, value] of Object.entries<string | undefined>(parameters)) {
      if (value === undefined) answer.searchParams.delete(key);
      else answer.searchParams.set(key, value);
    }
    expect(await browser.open(answer.href)).toBe(step.finalUrl);
    expect(browser.cookies.has(step.tokenCookie)).toBe(false);
    expect(browser.cookies.has(step.errorCookie)).toBe(true);
    // And the next one may begin in the same browser.
    await browser.open(step.loginUrl);
    expect(browser.cookies.has(step.tokenCookie)).toBe(true);
    expect(browser.cookies.has(step.errorCookie)).toBe(false);
  });

  test.each([
    ["was asked for by another", { nonce: "another" }, false],
    ["was asked for by nobody", { nonce: undefined }, false],
    ["is for another party", { azp: "another client" }, false],
    [
      "is for several, and says for whom",
      { aud: [CLIENT.clientId, "api"], azp: CLIENT.clientId },
      true,
    ],
    ["is for several, and does not say for whom", { aud: [CLIENT.clientId, "api"] }, false],
    ["is for another", { aud: "api" }, false],
    ["names nobody", { preferred_username: undefined }, false],
  ])("whose token %s: %j, %s", async (_what, instead, isTaken) => {
    await using all = await start();
    all.provider.instead = instead;
    const step = await browse(all);
    const browser = new Browser(all.authenticator);
    expect(await browser.open(step.loginUrl)).toBe(step.finalUrl);
    expect(browser.cookies.has(step.tokenCookie)).toBe(isTaken);
    expect(browser.cookies.has(step.errorCookie)).toBe(!isTaken);
  });

  test("under a name that the client made up ends nowhere: no code goes to another host", async () => {
    await using all = await start();
    const step = await browse(all, { publicUrl: "https://attacker.example" });
    const browser = new Browser(all.authenticator);
    await browser.open(step.loginUrl.replace("https://attacker.example", PUBLIC_URL));
    expect(browser.page?.status).toBe(400);
  });

  test("ends after five minutes, and may be begun ten times", async () => {
    await using all = await start();
    const browser = new Browser(all.authenticator);
    const step = await browse(all);
    for (let visit = 1; visit <= 10; visit += 1) {
      await browser.goAndStop(step.loginUrl);
      expect(browser.page?.status).toBe(302);
    }
    await browser.open(step.loginUrl);
    expect(browser.page?.status).toBe(400);
    const late = await browse(all);
    const answer = await browser.goAndStop(late.loginUrl);
    all.clock.advance(5 * MINUTE_MS);
    await browser.open(answer);
    expect(browser.page?.status).toBe(400);
  });

  test("whose provider is down says so, and goes on when it is back", async () => {
    await using all = await start();
    all.provider.isDown = true;
    const step = await browse(all);
    const browser = new Browser(all.authenticator);
    await browser.open(step.loginUrl);
    expect(browser.page?.status).toBe(502);
    expect(await rejectedCode(() => all.authenticator.check(signal()))).toBe("oidc-unreachable");
    all.provider.isDown = false;
    all.clock.advance(5_000);
    await all.authenticator.check(signal());
    expect(await browser.open(step.loginUrl)).toBe(step.finalUrl);
  });

  test("has pages that can be read and no others", async () => {
    await using all = await start();
    const ask = (method: string, path: string) =>
      all.authenticator.page?.(
        { method, url: new URL(`${PUBLIC_URL}${path}`), cookies: new Map(), body: "" },
        signal(),
      );
    expect((await ask("POST", "/auth/entra/start"))?.status).toBe(405);
    expect((await ask("GET", "/auth/entra/"))?.status).toBe(404);
    expect((await ask("GET", "/auth/entra/start?login=unknown"))?.status).toBe(400);
    expect((await ask("GET", "/auth/entra/callback?state=&code=c"))?.status).toBe(400);
  });
});

/** openconnect's hpke.c. */
function unseal(
  sealed: Buffer,
  privateKey: Parameters<typeof diffieHellman>[0]["privateKey"],
): string {
  const fields = new Map<number, Buffer>();
  for (let at = 2; at < sealed.length; ) {
    const length = sealed.readUInt16BE(at + 2);
    fields.set(sealed.readUInt16BE(at), sealed.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  const field = (type: number) => fields.get(type) ?? Buffer.alloc(0);
  const publicKey = createPublicKey({ key: field(1), format: "der", type: "spki" });
  const secret = diffieHellman({ privateKey, publicKey });
  const key = Buffer.from(hkdfSync("sha256", secret, "", "AC_ECIES", 32));
  const decipher = createDecipheriv("aes-256-gcm", key, field(4), { authTagLength: 12 });
  decipher.setAuthTag(field(2));
  return Buffer.concat([decipher.update(field(3)), decipher.final()]).toString();
}

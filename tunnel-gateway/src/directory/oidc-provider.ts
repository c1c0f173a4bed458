import { readFileSync } from "node:fs";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { type OutboundAnswer, OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { createLocalJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import { z } from "zod";
import { WorkLimit } from "./work-limit.ts";

/** As the local configuration has them. */
export interface OidcOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecretFile?: string | undefined;
  readonly caFile?: string | undefined;
  readonly audiences?: readonly string[] | undefined;
  readonly scopes: readonly string[];
  readonly userNameClaim: string;
  readonly groupsClaim: string;
  readonly timeoutSeconds: number;
}

const endpoint = z.url({ protocol: /^https?$/ }).max(2_048);
/** OpenID Connect Discovery 1.0 section 3, as far as it is used. */
const metadata = z.object({
  issuer: z.string(),
  authorization_endpoint: endpoint,
  token_endpoint: endpoint,
  jwks_uri: endpoint,
  token_endpoint_auth_methods_supported: z.array(z.string()).optional(),
});
export type ProviderMetadata = z.infer<typeof metadata>;

const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });
const tokenAnswer = z.object({ id_token: z.string().max(65_536) });

const SECOND_MS = 1_000;
const MAX_ANSWER_BYTES = 1_048_576;
/**
 * Own choices: for how long what the provider published is believed, from when on it is asked again, and how long it is left in
 * peace in any case: neither unknown keys nor its own outage make us ask more often.
 */
const BELIEVED_MS = 3_600_000;
const FRESH_MS = 600_000;
const LOOK_AGAIN_MS = 30_000;
const RETRY_MS = 5_000;
/** Own limit: codes redeemed at once and waiting. */
const WORK = { underWay: 16, waiting: 128 };
/** RFC 8725 section 3.1: asymmetric algorithms alone, so that no public key can pass for a shared secret. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "EdDSA",
];
/** RFC 8725 section 3.11: ID tokens and access tokens (RFC 9068), and not what else a provider signs. */
const TYPES: ReadonlySet<string | undefined> = new Set([undefined, "jwt", "at+jwt"]);
const CLOCK_TOLERANCE_SECONDS = 60;

interface Published {
  readonly metadata: ProviderMetadata;
  readonly keyOf: ReturnType<typeof createLocalJWKSet>;
  readonly at: number;
}

/** An OpenID provider: what it publishes, its tokens, and the exchange of a code. */
export class OidcProvider {
  readonly #options: OidcOptions;
  readonly #now: () => number;
  readonly #work = new WorkLimit(WORK);
  #published: Published | undefined;
  #underWay: Promise<Published> | undefined;
  #failure: { readonly error: unknown; readonly at: number } | undefined;

  constructor(options: OidcOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /** What it publishes, at most an hour old. @throws ConnectorError `oidc-unreachable`, `oidc-metadata` */
  async metadata(): Promise<ProviderMetadata> {
    return (await this.#current()).metadata;
  }

  /** Asks the provider now. @throws ConnectorError `oidc-unreachable`, `oidc-metadata` */
  async check(): Promise<void> {
    await this.#renew();
  }

  /**
   * The claims of a token that this provider signed for one of `audiences`. @throws ConnectorError `token-invalid` for
   * every token that does not hold, `oidc-unreachable` where the provider's keys cannot be had
   */
  async verify(token: string, audiences: readonly string[]): Promise<JWTPayload> {
    const current = await this.#current();
    try {
      return await this.#verifyWith(current, token, audiences);
    } catch (error) {
      const isOld = this.#now() - current.at > LOOK_AGAIN_MS;
      if (!(error instanceof errors.JWKSNoMatchingKey) || !isOld) throw invalid(error);
    }
    const renewed = await this.#renewUnlessDown();
    try {
      return await this.#verifyWith(renewed, token, audiences);
    } catch (error) {
      throw invalid(error);
    }
  }

  /**
   * The claims of the ID token that a code is good for (RFC 6749 section 4.1.3, RFC 7636).
   *
   * @throws ConnectorError `token-invalid` where the provider does not take the code, `oidc-unreachable`
   */
  async redeem(
    of: { readonly code: string; readonly verifier: string; readonly redirectUri: string },
    signal: AbortSignal,
  ): Promise<JWTPayload> {
    const { clientId, clientSecretFile } = this.#options;
    const known = await this.metadata();
    const form = new URLSearchParams({
      grant_type: "authorization_code",
      code: of.code,
      redirect_uri: of.redirectUri,
      code_verifier: of.verifier,
      client_id: clientId,
    });
    const headers: Record<string, string> = {};
    if (clientSecretFile !== undefined) {
      const secret = readSecretFile(clientSecretFile);
      if (takesOnlyBasic(known)) headers["authorization"] = basic(clientId, secret);
      else form.set("client_secret", secret);
    }
    const url = known.token_endpoint;
    const answer = await this.#work.run(() => this.#send(url, signal, { form, headers }), signal);
    // RFC 6749 section 5.2.
    if (answer.status === 400) throw invalid(`the code was not taken: ${errorOf(answer)}`);
    const parsed = tokenAnswer.safeParse(jsonOf(url, answer));
    if (!parsed.success) throw unreachable(`${url} answered without an id_token`);
    const claims = await this.verify(parsed.data.id_token, [clientId]);
    // OpenID Connect Core 1.0 section 3.1.3.7.
    const azp = claims["azp"];
    const isShared = Array.isArray(claims.aud) && claims.aud.length > 1;
    if (azp === undefined ? isShared : azp !== clientId) throw invalid("it is for another client");
    return claims;
  }

  async #current(): Promise<Published> {
    const published = this.#published;
    const age = published ? this.#now() - published.at : Number.POSITIVE_INFINITY;
    // A clock that was set back makes nothing younger.
    if (!published || age >= BELIEVED_MS || age < 0) return await this.#renewUnlessDown();
    if (age < FRESH_MS) return published;
    return await this.#renewUnlessDown().catch(() => published);
  }

  /** Asks no provider that has not answered just now. */
  #renewUnlessDown(): Promise<Published> {
    const failure = this.#failure;
    const isRecent = failure && Math.abs(this.#now() - failure.at) < RETRY_MS;
    return isRecent ? Promise.reject(failure.error) : this.#renew();
  }

  /** One request for all who wait for it, whoever of them goes away meanwhile. */
  #renew(): Promise<Published> {
    this.#underWay ??= this.#fetch().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #fetch(): Promise<Published> {
    try {
      this.#published = await this.#ask();
      this.#failure = undefined;
      return this.#published;
    } catch (error) {
      const told =
        error instanceof ConnectorError && codeOf(error).startsWith("oidc-")
          ? error
          : unreachable(error instanceof Error ? error.message : "it cannot be reached");
      this.#failure = { error: told, at: this.#now() };
      throw told;
    }
  }

  async #ask(): Promise<Published> {
    const issuer = withoutSlash(this.#options.issuer);
    const signal = AbortSignal.timeout(2 * this.#options.timeoutSeconds * SECOND_MS);
    const url = `${issuer}/.well-known/openid-configuration`;
    const parsed = metadata.safeParse(jsonOf(url, await this.#send(url, signal)));
    // Discovery section 4.3: what is published elsewhere could speak for somebody else.
    if (!parsed.success || withoutSlash(parsed.data.issuer) !== issuer) {
      throw new ConnectorError("oidc-metadata", `${url} is no metadata of ${issuer}; check issuer`);
    }
    const { authorization_endpoint: there, token_endpoint: code, jwks_uri: keys } = parsed.data;
    if (issuer.startsWith("https:") && [there, code, keys].some((one) => !one.startsWith("https:")))
      throw new ConnectorError("oidc-metadata", `${url} names an address without TLS`);
    const set = keySet.safeParse(jsonOf(keys, await this.#send(keys, signal)));
    if (!set.success) throw unreachable(`${keys} has no JSON Web Key Set`);
    const keyOf = createLocalJWKSet(set.data as Parameters<typeof createLocalJWKSet>[0]);
    return { metadata: parsed.data, keyOf, at: this.#now() };
  }

  async #verifyWith(
    published: Published,
    token: string,
    audiences: readonly string[],
  ): Promise<JWTPayload> {
    const options: JWTVerifyOptions = {
      issuer: published.metadata.issuer,
      audience: [...audiences],
      algorithms: ALGORITHMS,
      requiredClaims: ["exp", "iat"],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(this.#now()),
    };
    const { payload, protectedHeader } = await jwtVerify(token, published.keyOf, options);
    const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, "");
    if (!TYPES.has(type)) throw invalid("it is a token of another type");
    return payload;
  }

  async #send(
    url: string,
    signal: AbortSignal,
    post?: { readonly form: URLSearchParams; readonly headers: Readonly<Record<string, string>> },
  ): Promise<OutboundAnswer> {
    const { caFile, timeoutSeconds } = this.#options;
    const { origin, pathname, search } = new URL(url);
    using http = new OutboundHttp({
      urls: [origin],
      timeoutMs: timeoutSeconds * SECOND_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      trusted: caFile === undefined ? undefined : readFileSync(caFile, "utf8"),
    });
    const of = { path: `${pathname}${search}`, signal };
    const accept = { accept: "application/json" };
    if (!post) return await http.send({ ...of, method: "GET", headers: accept });
    const type = { "content-type": "application/x-www-form-urlencoded" };
    const headers = { ...accept, ...type, ...post.headers };
    return await http.send({ ...of, method: "POST", headers, body: post.form.toString() });
  }
}

function jsonOf(url: string, { status, body }: OutboundAnswer): unknown {
  const { origin, pathname } = new URL(url);
  if (status !== 200) throw unreachable(`${origin}${pathname} answered ${status}`);
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw unreachable(`${origin}${pathname} answered no JSON`);
  }
}

/** The `error` of RFC 6749 section 5.2, a word. */
function errorOf({ body }: OutboundAnswer): string {
  return /"error"\s*:\s*"([a-z_]{1,64})"/.exec(body.toString("utf8"))?.[1] ?? "no reason given";
}

/** What a provider says nothing of it takes both ways (RFC 8414 section 2), and most say so. */
function takesOnlyBasic({ token_endpoint_auth_methods_supported: methods }: ProviderMetadata) {
  return methods?.includes("client_secret_basic") && !methods.includes("client_secret_post");
}

/** RFC 6749 section 2.3.1. */
function basic(clientId: string, secret: string): string {
  const encode = (text: string) => new URLSearchParams({ "": text }).toString().slice(1);
  const pair = `${encode(clientId)}:${encode(secret)}`;
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

function withoutSlash(issuer: string): string {
  return issuer.replace(/\/$/, "");
}

function unreachable(message: string): ConnectorError {
  return new ConnectorError("oidc-unreachable", message, { isRetryable: true });
}

function invalid(cause: unknown): ConnectorError {
  if (cause instanceof ConnectorError) return cause;
  const known = cause instanceof errors.JOSEError ? cause.message : "it cannot be read";
  const why = typeof cause === "string" ? cause : known;
  return new ConnectorError("token-invalid", `the token does not hold: ${why}`, { cause });
}

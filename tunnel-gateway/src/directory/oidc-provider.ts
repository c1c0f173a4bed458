import { readFileSync } from "node:fs";
import { ConnectorError } from "@isthmus/shared/errors";
import { OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { createLocalJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import { z } from "zod";

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

/** OpenID Connect Discovery 1.0 section 3, as far as it is used. */
const metadata = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url({ protocol: /^https?$/ }),
  token_endpoint: z.url({ protocol: /^https?$/ }),
  jwks_uri: z.url({ protocol: /^https?$/ }),
});
export type ProviderMetadata = z.infer<typeof metadata>;

const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });
const tokenAnswer = z.object({ id_token: z.string().max(65_536) });

const SECOND_MS = 1_000;
const MAX_ANSWER_BYTES = 1_048_576;
/** How long what the provider published is believed, and how often an unknown key makes us look again. */
const FRESH_MS = 3_600_000;
const LOOK_AGAIN_MS = 30_000;
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
const CLOCK_TOLERANCE_SECONDS = 60;

type KeySet = Parameters<typeof createLocalJWKSet>[0];

/** An OpenID provider: what it publishes, its tokens, and the exchange of a code. */
export class OidcProvider {
  readonly #options: OidcOptions;
  readonly #now: () => number;
  #published:
    | { readonly metadata: ProviderMetadata; readonly keys: KeySet; readonly at: number }
    | undefined;

  constructor(options: OidcOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /** What it publishes, at most an hour old. @throws ConnectorError `oidc-unreachable`, `oidc-metadata` */
  async metadata(signal: AbortSignal): Promise<ProviderMetadata> {
    return (await this.#current(signal)).metadata;
  }

  /**
   * The claims of a token that this provider signed for one of `audiences`. @throws ConnectorError `token-invalid` for
   * every token that does not hold, `oidc-unreachable` where the provider's keys cannot be had
   */
  async verify(
    token: string,
    audiences: readonly string[],
    signal: AbortSignal,
  ): Promise<JWTPayload> {
    const current = await this.#current(signal);
    try {
      return await this.#verifyWith(current.keys, token, audiences);
    } catch (error) {
      const isStale = this.#now() - current.at > LOOK_AGAIN_MS;
      if (!(error instanceof errors.JWKSNoMatchingKey) || !isStale) throw invalid(error);
    }
    const renewed = await this.#fetch(signal);
    try {
      return await this.#verifyWith(renewed.keys, token, audiences);
    } catch (error) {
      throw invalid(error);
    }
  }

  /** Redeems a code (RFC 6749 section 4.1.3, RFC 7636). Answers the ID token, not yet verified. */
  async redeem(
    of: { readonly code: string; readonly verifier: string; readonly redirectUri: string },
    signal: AbortSignal,
  ): Promise<string> {
    const { token_endpoint: endpoint } = await this.metadata(signal);
    const { clientId, clientSecretFile } = this.#options;
    const form = new URLSearchParams({
      grant_type: "authorization_code",
      code: of.code,
      redirect_uri: of.redirectUri,
      code_verifier: of.verifier,
      client_id: clientId,
    });
    if (clientSecretFile !== undefined) form.set("client_secret", readSecretFile(clientSecretFile));
    const parsed = tokenAnswer.safeParse(await this.#json(endpoint, signal, form));
    if (!parsed.success) throw unreachable(`${endpoint} answered without an id_token`);
    return parsed.data.id_token;
  }

  async #current(signal: AbortSignal) {
    const published = this.#published;
    return published && this.#now() - published.at < FRESH_MS ? published : this.#fetch(signal);
  }

  async #fetch(signal: AbortSignal) {
    const issuer = this.#options.issuer.replace(/\/$/, "");
    const url = `${issuer}/.well-known/openid-configuration`;
    const parsed = metadata.safeParse(await this.#json(url, signal));
    // Discovery section 4.3: what is published elsewhere could speak for somebody else.
    if (!parsed.success || parsed.data.issuer.replace(/\/$/, "") !== issuer) {
      throw new ConnectorError("oidc-metadata", `${url} is no metadata of ${issuer}; check issuer`);
    }
    const keys = keySet.safeParse(await this.#json(parsed.data.jwks_uri, signal));
    if (!keys.success) throw unreachable(`${parsed.data.jwks_uri} has no JSON Web Key Set`);
    const published = { metadata: parsed.data, keys: keys.data as KeySet, at: this.#now() };
    this.#published = published;
    return published;
  }

  async #verifyWith(
    keys: KeySet,
    token: string,
    audiences: readonly string[],
  ): Promise<JWTPayload> {
    const options: JWTVerifyOptions = {
      issuer: [this.#options.issuer, this.#options.issuer.replace(/\/$/, "")],
      audience: [...audiences],
      algorithms: ALGORITHMS,
      requiredClaims: ["exp", "iat"],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(this.#now()),
    };
    return (await jwtVerify(token, createLocalJWKSet(keys), options)).payload;
  }

  async #json(url: string, signal: AbortSignal, form?: URLSearchParams): Promise<unknown> {
    const { caFile, timeoutSeconds } = this.#options;
    const { origin, pathname, search } = new URL(url);
    using http = new OutboundHttp({
      urls: [origin],
      timeoutMs: timeoutSeconds * SECOND_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      trusted: caFile === undefined ? undefined : readFileSync(caFile, "utf8"),
    });
    const path = `${pathname}${search}`;
    const accept = { accept: "application/json" };
    const { status, body } = await http.send(
      form === undefined
        ? { method: "GET", path, headers: accept, signal }
        : {
            method: "POST",
            path,
            headers: { ...accept, "content-type": "application/x-www-form-urlencoded" },
            body: form.toString(),
            signal,
          },
    );
    if (status !== 200) throw unreachable(`${origin}${pathname} answered ${status}`);
    try {
      return JSON.parse(body.toString("utf8"));
    } catch {
      throw unreachable(`${origin}${pathname} answered no JSON`);
    }
  }
}

function unreachable(message: string): ConnectorError {
  return new ConnectorError("oidc-unreachable", message, { isRetryable: true });
}

function invalid(cause: unknown): ConnectorError {
  const why = cause instanceof errors.JOSEError ? cause.message : "it cannot be read";
  return new ConnectorError("token-invalid", `the token does not hold: ${why}`, { cause });
}

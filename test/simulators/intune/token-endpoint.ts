import { constants, type KeyObject, verify, X509Certificate } from "node:crypto";

/** What one application may prove itself with at the simulated Microsoft Entra ID. */
export interface RegisteredApplication {
  readonly tenantId: string;
  readonly clientId: string;
  readonly secret?: string;
  /** PEM: registered with the application. */
  readonly certificate?: string;
  /** Tokens of this issuer and subject, signed with the key (RS256), are trusted. */
  readonly federated?: {
    readonly issuer: string;
    readonly subject: string;
    readonly key: KeyObject;
  };
}

export type TokenDecision =
  | { readonly scope: string }
  | { readonly error: string; readonly description: string };

const GRANT_KEYS = ["client_id", "scope", "grant_type"];
const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const FEDERATED_AUDIENCE = "api://AzureADTokenExchange";
const MAX_ASSERTION_LIFETIME_S = 86_400;

/** Checks a token request by client credentials as the Microsoft identity platform documents it. */
export class TokenEndpoint {
  readonly #application: RegisteredApplication;
  readonly #seen = new Set<string>();

  constructor(application: RegisteredApplication) {
    this.#application = application;
  }

  decide(form: URLSearchParams, address: string): TokenDecision {
    const { clientId } = this.#application;
    const { client_id, scope, grant_type, ...proof } = Object.fromEntries(form);
    if (form.size !== new Set(form.keys()).size) return bad("a parameter comes twice");
    if (GRANT_KEYS.some((key) => !form.has(key))) return bad(`needs ${GRANT_KEYS.join(", ")}`);
    if (grant_type !== "client_credentials") return bad(`grant_type ${grant_type}`);
    if (client_id !== clientId) return refused("700016", `Application '${client_id}' not found`);
    if (scope?.endsWith("/.default") !== true) return bad("scope does not end with /.default");
    const fault = this.#faultOfProof(proof, address);
    return fault ?? { scope };
  }

  #faultOfProof(
    proof: Readonly<Record<string, string | undefined>>,
    address: string,
  ): TokenDecision | undefined {
    const { client_secret, client_assertion, client_assertion_type, ...others } = proof;
    if (Object.keys(others).length > 0) return bad(`unknown ${Object.keys(others)}`);
    if (client_secret !== undefined && client_assertion !== undefined) return bad("two proofs");
    if (client_secret !== undefined) {
      const isRight = client_secret === this.#application.secret;
      return isRight ? undefined : refused("7000215", "Invalid client secret provided");
    }
    if (client_assertion_type !== ASSERTION_TYPE) return bad("client_assertion_type");
    return this.#faultOfAssertion(client_assertion ?? "", address);
  }

  #faultOfAssertion(jwt: string, address: string): TokenDecision | undefined {
    const parts = jwt.split(".");
    const [header, claims] = parts.slice(0, 2).map(decoded);
    if (parts.length !== 3 || header === undefined || claims === undefined) return bad("no JWT");
    const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
    const signature = Buffer.from(parts[2] ?? "", "base64url");
    const isOwn = claims["iss"] === this.#application.clientId;
    return isOwn
      ? this.#faultOfOwn(header, claims, { signed, signature, address })
      : this.#faultOfFederated(header, claims, { signed, signature });
  }

  /** Signed with the registered certificate's key. */
  #faultOfOwn(
    header: Json,
    claims: Json,
    of: { readonly signed: Buffer; readonly signature: Buffer; readonly address: string },
  ): TokenDecision | undefined {
    const { certificate, clientId } = this.#application;
    if (certificate === undefined) return refused("700027", "No certificate is registered");
    const registered = new X509Certificate(certificate);
    const thumbprint = (text: string) =>
      Buffer.from(text.replaceAll(":", ""), "hex").toString("base64url");
    if (header["typ"] !== "JWT") return bad("typ");
    if (header["x5t"] !== thumbprint(registered.fingerprint)) return refused("700027", "x5t");
    if (header["x5t#S256"] !== thumbprint(registered.fingerprint256)) {
      return refused("700027", "x5t#S256");
    }
    const padding = paddingOf(header["alg"]);
    if (padding === undefined) return bad(`alg ${header["alg"]}`);
    const key = { key: registered.publicKey, ...padding };
    if (!verify("sha256", of.signed, key, of.signature)) return refused("700027", "signature");
    if (claims["aud"] !== of.address) return refused("700023", `aud ${claims["aud"]}`);
    if (claims["sub"] !== clientId) return refused("700023", "sub");
    return this.#faultOfTimes(claims) ?? this.#faultOfReplay(claims);
  }

  /** Signed by another identity provider; it may be shown many times. */
  #faultOfFederated(
    header: Json,
    claims: Json,
    of: { readonly signed: Buffer; readonly signature: Buffer },
  ): TokenDecision | undefined {
    const { federated } = this.#application;
    const isTrusted =
      federated !== undefined &&
      claims["iss"] === federated.issuer &&
      claims["sub"] === federated.subject &&
      claims["aud"] === FEDERATED_AUDIENCE;
    if (!isTrusted) return refused("700213", "No matching federated identity record found");
    const padding = paddingOf(header["alg"]);
    const key = padding && { key: federated.key, ...padding };
    if (key === undefined || !verify("sha256", of.signed, key, of.signature)) {
      return refused("700027", "signature");
    }
    return this.#faultOfTimes(claims);
  }

  #faultOfTimes(claims: Json): TokenDecision | undefined {
    const [exp, nbf] = [Number(claims["exp"]), Number(claims["nbf"] ?? 0)];
    const now = Date.now() / 1_000;
    if (!(exp > now) || nbf > now + 300)
      return refused("700024", "not within its valid time range");
    return exp - now > MAX_ASSERTION_LIFETIME_S ? refused("700024", "lives too long") : undefined;
  }

  #faultOfReplay(claims: Json): TokenDecision | undefined {
    const jti = String(claims["jti"] ?? "");
    if (jti.length < 16 || this.#seen.has(jti)) return refused("700021", "jti was used before");
    this.#seen.add(jti);
    return undefined;
  }
}

type Json = Readonly<Record<string, unknown>>;

function decoded(part: string): Json | undefined {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

function paddingOf(algorithm: unknown) {
  if (algorithm === "RS256") return { padding: constants.RSA_PKCS1_PADDING };
  if (algorithm !== "PS256") return undefined;
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

function bad(what: string): TokenDecision {
  return { error: "invalid_request", description: `AADSTS900144: ${what}` };
}

function refused(code: string, what: string): TokenDecision {
  return { error: "invalid_client", description: `AADSTS${code}: ${what}\r\nTrace ID: 0` };
}

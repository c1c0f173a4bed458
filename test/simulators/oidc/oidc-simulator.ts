import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { wholeBody } from "@isthmus/shared/link/message-body";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

/** Who signs in, and for which client. */
export interface OidcSimulatorOptions {
  readonly address: string;
  readonly port: number;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Claims of the one user, whom nobody asks for a password. */
  readonly user: Readonly<Record<string, unknown>>;
  /** Whether the secret has to come in `Authorization`, and what is published says so. */
  readonly wantsBasic?: boolean;
}

export interface OidcSimulator extends AsyncDisposable {
  readonly issuer: string;
  /** How often a path was asked for. */
  asked(path: string): number;
  /** Signs a token with the key of now; what is `undefined` is left out. */
  sign(
    claims: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, string>>,
  ): Promise<string>;
  /** Publishes a new key in place of the one before. */
  rotateKey(): Promise<void>;
  /** Whether it answers 503 to all. */
  isDown: boolean;
  /** What its ID tokens say besides, and instead. */
  instead: Readonly<Record<string, unknown>>;
}

/** A code that was given out, and what it was asked for. */
interface Grant {
  readonly redirectUri: string;
  readonly challenge: string;
  readonly nonce: string | null;
}

const BODY_LIMIT = { maxBytes: 65_536, code: "body-too-large" };
const TOKEN_SECONDS = 300;

/**
 * An OpenID provider as OpenID Connect Core 1.0, Discovery 1.0 and RFC 7636 describe one: strict about everything that a
 * client must send. `GET /token-for-tests?aud=..&iss=..&expires=..` signs a bearer token, which no provider would.
 */
export async function startOidcSimulator(options: OidcSimulatorOptions): Promise<OidcSimulator> {
  const issuer = `http://${options.address}:${options.port}`;
  const grants = new Map<string, Grant>();
  const counts = new Map<string, number>();
  let keys = 0;
  let key: SigningKey = await newKey(keys);

  const sign: OidcSimulator["sign"] = (claims, header = {}) => {
    const now = Math.floor(Date.now() / 1_000);
    const standard = { iss: issuer, aud: options.clientId, iat: now, exp: now + TOKEN_SECONDS };
    return new SignJWT({ ...standard, ...options.user, ...claims })
      .setProtectedHeader({ alg: "RS256", kid: key.jwk.kid ?? "", ...header })
      .sign(key.privateKey);
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", issuer);
    counts.set(url.pathname, (counts.get(url.pathname) ?? 0) + 1);
    if (simulator.isDown) return json(response, 503, { error: "temporarily_unavailable" });
    switch (`${request.method} ${url.pathname}`) {
      case "GET /.well-known/openid-configuration":
        return json(response, 200, metadata(issuer, options));
      case "GET /keys":
        return json(response, 200, { keys: [key.jwk] });
      case "GET /authorize":
        return authorize(url.searchParams, response);
      case "POST /token":
        return redeem(request, response);
      case "GET /token-for-tests":
        response.end(await tokenForTests(url.searchParams));
        return;
      default:
        return json(response, 404, { error: "not_found" });
    }
  }

  function tokenForTests(query: URLSearchParams): Promise<string> {
    const seconds = Number(query.get("expires") ?? TOKEN_SECONDS);
    const exp = Math.floor(Date.now() / 1_000) + seconds;
    const iss = query.get("iss") ?? issuer;
    return sign({ iss, aud: query.get("aud") ?? options.clientId, exp });
  }

  function authorize(query: URLSearchParams, response: ServerResponse): void {
    const redirectUri = query.get("redirect_uri") ?? "";
    const challenge = query.get("code_challenge") ?? "";
    const faults = [
      query.get("client_id") !== options.clientId && "client_id",
      query.get("response_type") !== "code" && "response_type",
      !(query.get("scope") ?? "").split(" ").includes("openid") && "scope",
      query.get("code_challenge_method") !== "S256" && "code_challenge_method",
      challenge.length !== 43 && "code_challenge",
      (query.get("state") ?? "") === "" && "state",
      !redirectUri.startsWith("https://") && "redirect_uri",
    ].filter((fault) => fault !== false);
    if (faults.length > 0) {
      json(response, 400, { error: "invalid_request", faults });
      return;
    }
    const code = randomBytes(24).toString("base64url");
    grants.set(code, { redirectUri, challenge, nonce: query.get("nonce") });
    const back = new URL(redirectUri);
    back.searchParams.set("code", code);
    back.searchParams.set("state", query.get("state") ?? "");
    response.writeHead(302, { location: back.href }).end();
  }

  async function redeem(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams((await wholeBody(request, BODY_LIMIT)).toString("utf8"));
    const code = form.get("code") ?? "";
    const grant = grants.get(code);
    grants.delete(code);
    const verifier = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    const isGranted =
      grant !== undefined &&
      form.get("grant_type") === "authorization_code" &&
      form.get("redirect_uri") === grant.redirectUri &&
      form.get("client_id") === options.clientId &&
      isClient(request, form) &&
      verifier === grant.challenge;
    if (!isGranted) return json(response, 400, { error: "invalid_grant" });
    const nonce = grant.nonce === null ? {} : { nonce: grant.nonce };
    const idToken = await sign({ ...nonce, ...simulator.instead });
    json(response, 200, { id_token: idToken, access_token: "unused", token_type: "Bearer" });
  }

  function isClient({ headers }: IncomingMessage, form: URLSearchParams): boolean {
    const { clientId, clientSecret, wantsBasic } = options;
    if (!wantsBasic) return form.get("client_secret") === clientSecret;
    const pair = new URLSearchParams({ [clientId]: clientSecret }).toString().replace("=", ":");
    return headers.authorization === `Basic ${Buffer.from(pair).toString("base64")}`;
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      json(response, 500, { error: `simulator: ${error}` });
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port, options.address, resolve));
  const simulator: OidcSimulator = {
    issuer,
    isDown: false,
    instead: {},
    sign,
    asked: (path) => counts.get(path) ?? 0,
    async rotateKey() {
      keys += 1;
      key = await newKey(keys);
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return simulator;
}

interface SigningKey {
  readonly jwk: JWK;
  readonly privateKey: CryptoKey;
}

async function newKey(count: number): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair("RS256");
  const jwk = await exportJWK(publicKey);
  return { jwk: { ...jwk, kid: `simulator-${count}`, alg: "RS256", use: "sig" }, privateKey };
}

function metadata(issuer: string, { wantsBasic }: OidcSimulatorOptions) {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    code_challenge_methods_supported: ["S256"],
    ...(wantsBasic && { token_endpoint_auth_methods_supported: ["client_secret_basic"] }),
  };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { wholeBody } from "@isthmus/shared/link/message-body";
import { exportJWK, generateKeyPair, SignJWT } from "jose";

/** Who signs in, and for which client. */
export interface OidcSimulatorOptions {
  readonly address: string;
  readonly port: number;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Claims of the one user, whom nobody asks for a password. */
  readonly user: Readonly<Record<string, unknown>>;
}

/** A code that was given out, and what it was asked for. */
interface Grant {
  readonly redirectUri: string;
  readonly challenge: string;
  readonly nonce: string | null;
}

const KEY_ID = "simulator-1";
const BODY_LIMIT = { maxBytes: 65_536, code: "body-too-large" };
const TOKEN_SECONDS = 300;

/**
 * An OpenID provider as OpenID Connect Core 1.0, Discovery 1.0 and RFC 7636 describe one: strict about everything that a
 * client must send. `GET /token-for-tests?aud=..&expires=..` signs a bearer token, which no provider would.
 */
export async function startOidcSimulator(
  options: OidcSimulatorOptions,
): Promise<AsyncDisposable & { readonly issuer: string }> {
  const issuer = `http://${options.address}:${options.port}`;
  const { publicKey, privateKey } = await generateKeyPair("RS256");
  const jwk = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: "RS256", use: "sig" };
  const grants = new Map<string, Grant>();
  const sign = (audience: string, claims: Record<string, unknown>, seconds = TOKEN_SECONDS) =>
    new SignJWT({ ...options.user, ...claims })
      .setProtectedHeader({ alg: "RS256", kid: KEY_ID })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
      .sign(privateKey);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", issuer);
    const ask = `${request.method} ${url.pathname}`;
    if (ask === "GET /.well-known/openid-configuration")
      return json(response, 200, metadata(issuer));
    if (ask === "GET /keys") return json(response, 200, { keys: [jwk] });
    if (ask === "GET /authorize") return authorize(url.searchParams, response);
    if (ask === "POST /token") return redeem(request, response);
    if (ask !== "GET /token-for-tests") return json(response, 404, { error: "not_found" });
    const expires = Number(url.searchParams.get("expires") ?? TOKEN_SECONDS);
    response.end(await sign(url.searchParams.get("aud") ?? options.clientId, {}, expires));
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
      form.get("client_secret") === options.clientSecret &&
      verifier === grant.challenge;
    if (!isGranted) return json(response, 400, { error: "invalid_grant" });
    const nonce = grant.nonce === null ? {} : { nonce: grant.nonce };
    const idToken = await sign(options.clientId, nonce);
    json(response, 200, { id_token: idToken, access_token: "unused", token_type: "Bearer" });
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      json(response, 500, { error: `simulator: ${error}` });
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port, options.address, resolve));
  return {
    issuer,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function metadata(issuer: string) {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/keys`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    code_challenge_methods_supported: ["S256"],
  };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

import { randomBytes, randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { wholeBody } from "@isthmus/shared/link/message-body";
import { testAuthority, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";
import { type RegisteredApplication, TokenEndpoint } from "../intune/token-endpoint.ts";
import { faultOfChange, faultOfNew } from "./user-pfx-contract.ts";

const BODY_LIMIT = { maxBytes: 1_048_576, code: "body-too-large" };
const YEAR_MS = 365 * 86_400_000;
const GRAPH_SCOPE = /^https:\/\/[^/]+\/\.default$/;

interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * The part of Microsoft Graph (beta) that imported PFX files need: a token, users by name, and userPfxCertificates with
 * POST, PATCH, GET and DELETE, behind one HTTPS server with a CA of its own. What is not as published is answered 400 and
 * kept in `violations`. Reads blank both secrets, as Graph does.
 */
export class GraphSimulator implements AsyncDisposable {
  readonly violations: string[] = [];
  /** `METHOD path` of every request to Graph, throttled ones too. */
  readonly asked: string[] = [];
  /** What was stored, secrets and all, by id. */
  readonly stored = new Map<string, Record<string, unknown>>();
  /** Answers to give before any other, in this order. */
  readonly faults: Answer[] = [];
  readonly #users: ReadonlyMap<string, string>;
  readonly #tokens = new Set<string>();
  readonly #tokenEndpoint: TokenEndpoint;
  readonly #tenantId: string;
  readonly #server: Server;
  /** PEM. */
  readonly ca: string;

  private constructor(
    of: { readonly application: RegisteredApplication; readonly users: readonly string[] },
    server: Server,
    ca: string,
  ) {
    this.#tenantId = of.application.tenantId;
    this.#tokenEndpoint = new TokenEndpoint(of.application);
    this.#users = new Map(of.users.map((name) => [name.toLowerCase(), randomUUID()]));
    this.#server = server;
    this.ca = ca;
  }

  /** Starts it with these users, by user principal name. */
  static async start(
    application: RegisteredApplication,
    users: readonly string[],
  ): Promise<GraphSimulator> {
    const validity = { notBefore: Date.now() - 60_000, notAfter: Date.now() + YEAR_MS };
    const ca = await testAuthority({ subject: "CN=Simulated Graph", ...validity });
    const names = subjectAltNameExtension([{ type: "dns", value: "localhost" }]);
    const leaf = await testCertificate(
      { subject: "CN=localhost", extensions: [names], ...validity },
      ca,
    );
    const server = createServer({
      key: leaf.key.export({ type: "pkcs8", format: "pem" }),
      cert: derToPem(leaf.certificate.der, "CERTIFICATE"),
    });
    const pem = derToPem(ca.certificate.der, "CERTIFICATE");
    const simulator = new GraphSimulator({ application, users }, server, pem);
    server.on("request", (request, response) => void simulator.#take(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return simulator;
  }

  /** Also where tokens are asked for. */
  get origin(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Every token that was given is refused from now on. */
  revokeTokens(): void {
    this.#tokens.clear();
  }

  userId(userPrincipalName: string): string {
    return this.#users.get(userPrincipalName.toLowerCase()) ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await wholeBody(request, BODY_LIMIT)).toString("utf8");
    const url = new URL(request.url ?? "", this.origin);
    const { status, body: said, headers } = this.#answer(request, url, body);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(said === undefined ? undefined : JSON.stringify(said));
  }

  #answer(request: IncomingMessage, url: URL, body: string): Answer {
    if (url.pathname === `/${this.#tenantId}/oauth2/v2.0/token`) return this.#token(url, body);
    this.asked.push(`${request.method} ${decodeURIComponent(url.pathname)}`);
    const fault = this.faults.shift();
    if (fault !== undefined) return fault;
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (token === undefined || !this.#tokens.has(token)) {
      return refusal(401, "InvalidAuthenticationToken");
    }
    if (url.pathname === "/beta/users") return this.#listUsers(request, url);
    const path = decodeURIComponent(url.pathname);
    const [, key] = /^\/beta\/deviceManagement\/userPfxCertificates(?:\('([^']+)'\))?$/.exec(
      path,
    ) ?? [undefined, "none"];
    if (key === "none") return this.#violation(`no such path ${path}`);
    return this.#userPfx(request, key, body);
  }

  #token(url: URL, body: string): Answer {
    const decision = this.#tokenEndpoint.decide(new URLSearchParams(body), url.href);
    if ("error" in decision) {
      const { error, description: error_description } = decision;
      return { status: 401, body: { error, error_description } };
    }
    if (!GRAPH_SCOPE.test(decision.scope)) return this.#violation(`scope ${decision.scope}`);
    const access_token = randomBytes(16).toString("hex");
    this.#tokens.add(access_token);
    return { status: 200, body: { token_type: "Bearer", expires_in: 3_599, access_token } };
  }

  #listUsers({ method }: IncomingMessage, { searchParams }: URL): Answer {
    const filter = searchParams.get("$filter") ?? "";
    const name = /^userPrincipalName eq '((?:[^']|'')+)'$/.exec(filter)?.[1];
    if (method !== "GET" || name === undefined) return this.#violation(`users: ${filter}`);
    const userPrincipalName = name.replaceAll("''", "'");
    const id = this.userId(userPrincipalName);
    return { status: 200, body: { value: id === "" ? [] : [{ id }] } };
  }

  #userPfx({ method, headers }: IncomingMessage, key: string | undefined, body: string): Answer {
    if (method === "GET" && key === undefined) {
      return { status: 200, body: { value: [...this.stored.values()].map(blanked) } };
    }
    const present = this.stored.get(key ?? "");
    if (key !== undefined && present === undefined) return refusal(404, "ResourceNotFound");
    if (method === "GET") return { status: 200, body: blanked(present ?? {}) };
    if (method === "DELETE" && key !== undefined) {
      this.stored.delete(key);
      return { status: 204 };
    }
    if (headers["content-type"] !== "application/json") return this.#violation("content-type");
    const value = JSON.parse(body) as Record<string, unknown>;
    if (method === "POST" && key === undefined) return this.#create(value);
    if (method === "PATCH" && key !== undefined) return this.#change(key, value);
    return this.#violation(`${method} on ${key ?? "the collection"}`);
  }

  #create(value: Record<string, unknown>): Answer {
    const fault = faultOfNew(value);
    if (fault !== undefined) return this.#violation(fault);
    const userId = this.userId(String(value["userPrincipalName"]));
    if (userId === "") return refusal(400, "BadRequest");
    const id = `${userId}-${value["thumbprint"]}`;
    if (this.stored.has(id)) return refusal(409, "Conflict");
    this.stored.set(id, { ...value, id });
    return { status: 201, body: blanked({ ...value, id }) };
  }

  #change(key: string, value: Record<string, unknown>): Answer {
    const fault = faultOfChange(value);
    if (fault !== undefined) return this.#violation(fault);
    this.stored.set(key, { ...this.stored.get(key), ...value, id: key });
    return { status: 200, body: blanked(this.stored.get(key) ?? {}) };
  }

  #violation(what: string): Answer {
    this.violations.push(what);
    return refusal(400, "BadRequest", what);
  }
}

function refusal(status: number, code: string, message = code): Answer {
  return { status, body: { error: { code, message } } };
}

function blanked(value: Readonly<Record<string, unknown>>) {
  return { ...value, encryptedPfxBlob: "", encryptedPfxPassword: "" };
}

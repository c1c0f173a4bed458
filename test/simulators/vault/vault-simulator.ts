import { randomBytes } from "node:crypto";
import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { derToPem } from "@isthmus/shared/x509/pem";
import {
  type JsonAnswer,
  type JsonRequest,
  type JsonServer,
  startJsonServer,
} from "../json-server.ts";
import { readMembers } from "../strict-json.ts";
import { signByRole, VaultRefusal, type VaultRole } from "./vault-role.ts";

/**
 * HashiCorp Vault as far as its API documentation describes what a client of the PKI secrets engine sees: AppRole login,
 * tokens with a lease, health, signing by role, revocation. It is strict: what is not documented is refused.
 */
export interface VaultOptions {
  readonly issuer: TestIdentity;
  readonly root: TestIdentity;
  readonly roles: Readonly<Record<string, VaultRole>>;
  readonly namespace?: string;
}

export interface VaultSimulator extends JsonServer {
  readonly roleId: string;
  readonly secretId: string;
  /** Lower-case hex of every certificate that was signed, in order; `revoked` of those that were revoked. */
  readonly signed: string[];
  readonly revoked: Set<string>;
  /** `METHOD path` of every request. */
  readonly requests: string[];
  /** Tokens end now. */
  expireTokens(): void;
  /** Answers so instead, until it returns undefined. */
  intercept:
    | ((request: JsonRequest) => JsonAnswer | undefined | Promise<JsonAnswer | undefined>)
    | undefined;
  isSealed: boolean;
  /** A token that works at once, as an administrator makes one. */
  makeToken(): string;
}

const LEASE_SECONDS = 3_600;
const LOGIN = { role_id: "string", secret_id: "string" } as const;
const REVOCATION = { serial_number: "string" } as const;

export async function startVaultSimulator(options: VaultOptions): Promise<VaultSimulator> {
  const tokens = new Set<string>();
  const makeToken = () => {
    const token = `hvs.${randomBytes(12).toString("hex")}`;
    tokens.add(token);
    return token;
  };
  const state = {
    roleId: randomBytes(8).toString("hex"),
    secretId: randomBytes(8).toString("hex"),
    signed: [] as string[],
    revoked: new Set<string>(),
    requests: [] as string[],
    expireTokens: () => tokens.clear(),
    intercept: undefined as VaultSimulator["intercept"],
    isSealed: false,
    makeToken,
  };

  const server = await startJsonServer(async (request) => {
    state.requests.push(`${request.method} ${request.path}`);
    return (await state.intercept?.(request)) ?? (await route(request));
  });
  const simulator: VaultSimulator = Object.assign(state, server);
  return simulator;

  async function route(request: JsonRequest): Promise<JsonAnswer> {
    const { method, path, headers } = request;
    if (path === "/v1/sys/health") return { status: state.isSealed ? 503 : 200, body: {} };
    if (state.isSealed) return errors(503, "Vault is sealed");
    if (options.namespace !== headers["x-vault-namespace"]) return errors(404, "no handler");
    if (method === "GET") return readIssuer(path);
    if (method !== "POST") return errors(405, "unsupported operation");
    if (path === "/v1/auth/approle/login") return logIn(request.body);
    return await withToken(path, request);
  }

  async function withToken(path: string, { headers, body }: JsonRequest): Promise<JsonAnswer> {
    const token = headers["x-vault-token"];
    if (typeof token !== "string" || !tokens.has(token)) return errors(403, "permission denied");
    if (path === "/v1/auth/token/renew-self") return lease(token);
    if (path === "/v1/pki/revoke") return revoke(body);
    return await sign(path, body);
  }

  function logIn(body: unknown): JsonAnswer {
    const of = readMembers(body, LOGIN);
    const isKnown =
      typeof of !== "string" && of.role_id === state.roleId && of.secret_id === state.secretId;
    return isKnown ? lease(makeToken()) : errors(400, "invalid role or secret ID");
  }

  function readIssuer(path: string): JsonAnswer {
    if (path !== "/v1/pki/issuer/default/json") return errors(404, "no handler for route");
    const chain = [options.issuer, options.root].map(pem);
    return {
      status: 200,
      body: { data: { ca_chain: chain, certificate: chain[0], revocation_time: 0 } },
    };
  }

  async function sign(path: string, body: unknown): Promise<JsonAnswer> {
    const [, how, name = ""] =
      /^\/v1\/pki\/(?:issuer\/default\/)?(sign|sign-verbatim)\/([\w-]+)$/.exec(path) ?? [];
    if (how === undefined) return errors(404, "no handler for route");
    const role = options.roles[name];
    if (role === undefined) return errors(400, `unknown role: ${name}`);
    try {
      const der = await signByRole(body, role, options.issuer, how === "sign-verbatim");
      const { serialNumber } = parseCertificate(der);
      state.signed.push(serialNumber);
      const data = {
        certificate: derToPem(der, "CERTIFICATE").trim(),
        issuing_ca: pem(options.issuer),
        ca_chain: [pem(options.issuer), pem(options.root)],
        serial_number: serialNumber.match(/../g)?.join(":"),
      };
      return {
        status: 200,
        body: { lease_id: "", renewable: false, lease_duration: 0, data, auth: null },
      };
    } catch (error) {
      if (error instanceof VaultRefusal) return errors(400, error.message);
      throw error;
    }
  }

  function revoke(body: unknown): JsonAnswer {
    const of = readMembers(body, REVOCATION);
    const text = typeof of === "string" ? "" : of.serial_number;
    if (!/^([0-9a-f]{2}[:-])*[0-9a-f]{2}$/.test(text)) {
      return errors(400, "the serial number must be hexadecimal, separated by colons or hyphens");
    }
    const serialNumber = text.replaceAll(/[:-]/g, "");
    if (!state.signed.includes(serialNumber)) {
      return errors(400, `certificate with serial ${serialNumber} not found`);
    }
    state.revoked.add(serialNumber);
    return { status: 200, body: { data: { revocation_time: Math.floor(Date.now() / 1_000) } } };
  }
}

function lease(token: string): JsonAnswer {
  const auth = {
    client_token: token,
    lease_duration: LEASE_SECONDS,
    renewable: true,
    policies: ["default"],
  };
  return { status: 200, body: { auth, data: null } };
}

function errors(status: number, ...messages: string[]): JsonAnswer {
  return { status, body: { errors: messages } };
}

function pem({ certificate }: TestIdentity): string {
  return derToPem(certificate.der, "CERTIFICATE").trim();
}

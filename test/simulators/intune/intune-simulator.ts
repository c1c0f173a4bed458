import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { wholeBody } from "@isthmus/shared/link/message-body";
import { testAuthority, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";
import {
  ACTIONS,
  type ActionName,
  faultOfBody,
  INTUNE_APPLICATION_ID,
  REVOCATION_PATH,
  VALIDATION_PATH,
} from "./contract.ts";
import { type Fault, Faults, faultBefore } from "./faults.ts";
import { RevocationQueue } from "./revocation-queue.ts";
import { ScepRequests } from "./scep-requests.ts";
import { type RegisteredApplication, TokenEndpoint } from "./token-endpoint.ts";

const BODY_LIMIT = { maxBytes: 4_194_304, code: "body-too-large" };
const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TOKEN_LIFETIME_S = 3_599;
const YEAR_MS = 365 * 86_400_000;

/** A notification that came, in the order of their coming. */
export interface ReceivedNotification {
  readonly event: "success" | "failure";
  readonly body: Readonly<Record<string, string>>;
}

/**
 * Microsoft Entra ID, Microsoft Graph's discovery and Microsoft Intune's two services for one tenant, behind one HTTPS
 * server with a CA of its own, from the published contract. It takes nothing that is not exactly as published, and keeps
 * the reason for each refusal in `violations`.
 */
export class IntuneSimulator implements AsyncDisposable {
  readonly application: RegisteredApplication;
  readonly requests = new ScepRequests();
  readonly revocations = new RevocationQueue();
  readonly faults = new Faults();
  readonly notifications: ReceivedNotification[] = [];
  readonly violations: string[] = [];
  /** How often each path was asked, refused ones too. */
  readonly asked = new Map<string, number>();
  /** Codes to answer the next notifications with, instead of Success. */
  readonly notificationCodes: string[] = [];
  /** Awaited when a notification has come: before it counts, which `lost` prevents, and after. */
  onNotification: (phase: "received" | "recorded") => Promise<"lost" | undefined> | undefined =
    () => undefined;
  /** Awaited when results of revocations have come; `lost` has them count for nothing. */
  onResults: () => Promise<"lost" | undefined> | undefined = () => undefined;
  /** What discovery says, where it is not the truth. */
  discovery: ((origin: string) => unknown) | undefined;

  readonly #server: Server;
  readonly #tokens = new Map<string, { readonly scope: string; readonly endsAt: number }>();
  readonly #requestIds = new Set<string>();
  readonly #tokenEndpoint: TokenEndpoint;
  /** PEM. */
  readonly ca: string;

  private constructor(application: RegisteredApplication, server: Server, ca: string) {
    this.application = application;
    this.#tokenEndpoint = new TokenEndpoint(application);
    this.#server = server;
    this.ca = ca;
  }

  static async start(application: RegisteredApplication): Promise<IntuneSimulator> {
    const validity = { notBefore: Date.now() - 60_000, notAfter: Date.now() + YEAR_MS };
    const ca = await testAuthority({ subject: "CN=Simulated cloud", ...validity });
    const extensions = [
      subjectAltNameExtension(
        [
          { type: "ip", value: "127.0.0.1" },
          { type: "dns", value: "localhost" },
        ],
        false,
      ),
    ];
    const own = await testCertificate({ subject: "CN=localhost", extensions, ...validity }, ca);
    const server = createServer({
      key: own.key.export({ type: "pkcs8", format: "pem" }),
      cert: derToPem(own.certificate.der, "CERTIFICATE"),
    });
    const pem = derToPem(ca.certificate.der, "CERTIFICATE");
    const simulator = new IntuneSimulator(application, server, pem);
    server.on("request", (request, response) => void simulator.#serve(request, response));
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    return simulator;
  }

  get origin(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get hosts() {
    const { origin } = this;
    return { login: origin, graph: origin, intune: origin, allowed: ["127.0.0.1"] };
  }

  /** Writes the CA's certificate to a file. */
  writeCa(file: string): string {
    writeFileSync(file, this.ca);
    return file;
  }

  /** Makes every token that was given invalid. */
  revokeTokens(): void {
    this.#tokens.clear();
  }

  timesAsked(suffix: string): number {
    const matching = [...this.asked].filter(([path]) => path.endsWith(suffix));
    return matching.reduce((total, [, times]) => total + times, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    this.asked.set(path, (this.asked.get(path) ?? 0) + 1);
    const body = await wholeBody(request, BODY_LIMIT);
    const fault = this.faults.take(path);
    if (faultBefore(fault, response)) return;
    const { status, value } = await this.#answer(request, body);
    if (fault === "drop-after") response.destroy();
    else respond(response, status, value, fault);
  }

  async #answer(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const { method = "", url = "" } = request;
    const { tenantId } = this.application;
    if (url === `/${tenantId}/oauth2/v2.0/token`) return this.#token(request, body);
    if (url === `/v1.0/servicePrincipals/appId=${INTUNE_APPLICATION_ID}/endpoints`) {
      return method === "GET" ? this.#discover(request) : this.#refuse(405, `${method} ${url}`);
    }
    const action = (Object.keys(ACTIONS) as ActionName[]).find(
      (name) => ACTIONS[name].path === url,
    );
    if (action === undefined) return this.#refuse(404, `nothing is at ${method} ${url}`);
    return method === "POST"
      ? await this.#act(action, request, body)
      : this.#refuse(405, `${method} ${url}`);
  }

  #token({ method, headers }: IncomingMessage, body: Buffer): Answer {
    if (method !== "POST") return this.#refuse(405, `${method} for a token`);
    if (headers["content-type"] !== "application/x-www-form-urlencoded") {
      return this.#refuse(400, `token request of type ${headers["content-type"]}`);
    }
    const address = `${this.origin}/${this.application.tenantId}/oauth2/v2.0/token`;
    const decision = this.#tokenEndpoint.decide(new URLSearchParams(body.toString()), address);
    if ("error" in decision) {
      const { error, description: error_description } = decision;
      this.violations.push(error_description);
      return {
        status: error === "invalid_client" ? 401 : 400,
        value: { error, error_description },
      };
    }
    const token = randomBytes(32).toString("base64url");
    const endsAt = Date.now() + TOKEN_LIFETIME_S * 1_000;
    this.#tokens.set(token, { scope: decision.scope, endsAt });
    const expires_in = TOKEN_LIFETIME_S;
    return {
      status: 200,
      value: { token_type: "Bearer", expires_in, ext_expires_in: expires_in, access_token: token },
    };
  }

  #discover(request: IncomingMessage): Answer {
    const refusal = this.#faultOfCaller(request, `${this.origin}/.default`);
    if (refusal !== undefined) return refusal;
    const { origin } = this;
    const truth = {
      value: [
        { providerName: "ScepRequestValidationFEService", uri: `${origin}${VALIDATION_PATH}` },
        { serviceName: "PkiConnectorFEService", uri: `${origin}${REVOCATION_PATH}` },
        { providerName: "SomethingElse", uri: "https://elsewhere.invalid/x" },
      ],
    };
    return { status: 200, value: this.discovery?.(origin) ?? truth };
  }

  async #act(name: ActionName, request: IncomingMessage, bytes: Buffer): Promise<Answer> {
    const action = ACTIONS[name];
    const refusal = this.#faultOfCaller(request, `${this.origin}//.default`);
    if (refusal !== undefined) return refusal;
    const { headers } = request;
    if (headers["api-version"] !== action.apiVersion) {
      return this.#refuse(400, `${name}: api-version ${headers["api-version"]}`);
    }
    if (!/^application\/json(; charset=utf-8)?$/.test(headers["content-type"] ?? "")) {
      return this.#refuse(415, `${name}: content-type ${headers["content-type"]}`);
    }
    const body = parsed(bytes);
    const fault = faultOfBody(action, body);
    if (fault !== undefined) return this.#refuse(400, `${name}: ${fault}`);
    const content = (body as Record<string, unknown>)[action.envelope];
    return await this.#perform(name, content as Record<string, string>);
  }

  async #perform(name: ActionName, content: Readonly<Record<string, string>>): Promise<Answer> {
    switch (name) {
      case "validateRequest":
        return coded(this.requests.validate(content));
      case "successNotification":
        return await this.#notified("success", content);
      case "failureNotification":
        return await this.#notified("failure", content);
      case "downloadRevocationRequests":
        return this.#page(content);
      case "uploadRevocationResults":
        return await this.#results(content as unknown as readonly unknown[]);
    }
  }

  async #results(results: readonly unknown[]): Promise<Answer> {
    if ((await this.onResults()) === "lost") return { status: 503, value: {} };
    const fault = this.revocations.take(results);
    if (fault !== undefined) return this.#refuse(400, fault);
    return { status: 200, value: { value: true } };
  }

  #page(parameters: Readonly<Record<string, unknown>>): Answer {
    const page = this.revocations.page(parameters);
    if (page === undefined) return this.#refuse(400, "maxRequests is not 1 to 500");
    return { status: 200, value: { value: page } };
  }

  async #notified(
    event: ReceivedNotification["event"],
    body: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    if ((await this.onNotification("received")) === "lost") return { status: 503, value: {} };
    const fault = faultOfNotification(event, body);
    if (fault !== undefined) return this.#refuse(400, fault);
    if (!this.requests.isValidated(body)) {
      this.violations.push(`${event} of ${body["transactionId"]}, which was never validated`);
      return coded("BadCertificateRequestIdInChallenge");
    }
    const code = this.notificationCodes.shift() ?? "Success";
    if (code === "Success") this.notifications.push({ event, body });
    await this.onNotification("recorded");
    return coded(code);
  }

  #faultOfCaller({ headers }: IncomingMessage, scope: string): Answer | undefined {
    const id = String(headers["client-request-id"]);
    if (!GUID.test(id) || this.#requestIds.has(id)) {
      return this.#refuse(400, `client-request-id ${id} is no new GUID`);
    }
    this.#requestIds.add(id);
    const [, value = ""] = /^Bearer ([\x21-\x7e]+)$/.exec(headers.authorization ?? "") ?? [];
    const token = this.#tokens.get(value);
    if (token === undefined || token.endsAt < Date.now()) {
      return { status: 401, value: { error: { code: "InvalidAuthenticationToken" } } };
    }
    return token.scope === scope
      ? undefined
      : this.#refuse(401, `a token for ${token.scope} instead of ${scope}`);
  }

  #refuse(status: number, reason: string): Answer {
    this.violations.push(reason);
    return { status, value: { error: { code: "BadRequest", message: reason } } };
  }
}

interface Answer {
  readonly status: number;
  readonly value: unknown;
}

function coded(code: string): Answer {
  return {
    status: 200,
    value: { code, errorDescription: code === "Success" ? "" : `said ${code}` },
  };
}

function faultOfNotification(
  event: ReceivedNotification["event"],
  body: Readonly<Record<string, string | number>>,
): string | undefined {
  if (event === "success") {
    const { certificateExpirationDateUtc: date, certificateThumbprint: thumbprint } = body;
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(String(date))) return `date ${date}`;
    return /^[0-9A-F]{40}$/.test(String(thumbprint)) ? undefined : `thumbprint ${thumbprint}`;
  }
  const { hResult, errorDescription } = body;
  if (!Number.isInteger(hResult) || (Number(hResult) | 0) !== hResult) return `hResult ${hResult}`;
  return String(errorDescription).length > 255 ? "errorDescription over 255" : undefined;
}

function respond(
  response: ServerResponse,
  status: number,
  value: unknown,
  fault: Fault | undefined,
): void {
  const type = fault === "wrong-content-type" ? "text/html" : "application/json; charset=utf-8";
  response.writeHead(status, { "content-type": type }).end(JSON.stringify(value));
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

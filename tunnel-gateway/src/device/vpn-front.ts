import type { VpnService } from "../core/vpn/vpn-service-port.ts";
import type { EngineConnection, VpnEngine } from "../core/vpn-engine.ts";
import { parseConnectRequest } from "../protocol/connect-request.ts";
import { parseCookies } from "../protocol/cookies.ts";
import type { HttpRequest } from "../protocol/http-requests.ts";
import { fieldText, type HttpResponse } from "../protocol/http-response.ts";
import { groupOfPath } from "../protocol/login-message.ts";
import { encodeProxyStatus } from "../protocol/proxy-status.ts";
import { Admission, type AdmissionLimits } from "./admission.ts";
import type { ConnectRequest } from "./connect-front.ts";
import { EngineStream } from "./engine-stream.ts";
import { publicUrlOf } from "./public-url.ts";
import { type RefusalResponse, refuseOn } from "./refusal-response.ts";
import { type Served, VpnConnection } from "./vpn-connection.ts";
import { VpnLoginPages } from "./vpn-login-pages.ts";
import { staticAnswer, type VpnSite } from "./vpn-static-pages.ts";
import { startTunnel, wipeSecret } from "./vpn-tunnel-start.ts";

export interface VpnFrontOptions {
  readonly engine: Pick<VpnEngine, "write" | "end" | "attach" | "stream">;
  readonly service: VpnService;
  /** May change while connections are open. */
  readonly site: () => VpnSite;
  /** As clients reach it; undefined where no UDP port is open. */
  readonly udpPort: () => number | undefined;
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number;
  /** On connections of the relay behind which no device is known yet. */
  readonly limits: AdmissionLimits;
  /** A CONNECT to somewhere else, for the relay, on a connection with a verified certificate. */
  readonly onRelay: (request: ConnectRequest) => void;
  /** A request refused for its form; `code` is from a closed set. */
  readonly onMalformed: (code: string) => void;
  readonly onFault: (error: unknown) => void;
}

const TUNNEL = "/CSCOSSLC/tunnel";
const SWEEP_MS = 1_000;
const PAGES = /^\/auth\/([a-z0-9][a-z0-9-]{0,63})(?:\/|$)/;
const LOGIN_PATHS = new Set(["/", "/auth", "/VPN"]);

/**
 * Serves HTTP on the engine's connections until they are tunnels.
 *
 *     GET, POST  /  /auth  /VPN  /<group>            the login; a GET of a group by a client of this protocol alone
 *     GET, POST  /auth/<authenticator>/...           pages of an authenticator, such as what a browser is sent back to
 *     GET        /logout                             ends the session of the cookie
 *     GET        /profiles/...  /1/...  /cert.pem    what AnyConnect looks for, `static-page.ts`
 *     CONNECT    /CSCOSSLC/tunnel                    the tunnel
 *     CONNECT    host:port                           the relay
 */
export class VpnFront implements Disposable {
  readonly #options: VpnFrontOptions;
  readonly #login: VpnLoginPages;
  /** Of the relay: the engine counts a connection no more once it is a stream. */
  readonly #admission: Admission;
  readonly #connections = new Map<number, VpnConnection>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: VpnFrontOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits);
    this.#login = new VpnLoginPages(options.service, options.site);
    this.#sweeper = setInterval(() => this.sweep(performance.now()), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** Connections that are no tunnels. */
  get open(): number {
    return this.#connections.size;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeper);
  }

  opened(connection: EngineConnection): void {
    const { id } = connection;
    const { engine, onMalformed, onFault } = this.#options;
    const one = new VpnConnection(
      {
        connection,
        serve: (request, of) => this.#serve(request, of),
        write: (bytes) => engine.write(id, bytes),
        end: (how) => {
          this.#connections.delete(id);
          engine.end(id, how);
        },
        onMalformed,
        onFault,
      },
      performance.now(),
    );
    this.#connections.set(id, one);
  }

  bytes(connectionId: number, bytes: Buffer): void {
    this.#connections.get(connectionId)?.receive(bytes, performance.now());
  }

  drained(connectionId: number, sentBytes: number): void {
    this.#connections.get(connectionId)?.drained(sentBytes);
  }

  closed(connectionId: number, isClean: boolean): void {
    this.#connections.get(connectionId)?.closed(isClean);
    this.#connections.delete(connectionId);
  }

  /** Ends connections whose requests take too long to come; `now` on the clock of `performance`. */
  sweep(now: number): void {
    for (const one of [...this.#connections.values()]) {
      one.sweep(now, this.#options.requestTimeoutMs);
    }
  }

  async #serve(request: HttpRequest, connection: VpnConnection): Promise<Served> {
    switch (request.method) {
      case "CONNECT":
        return request.target === TUNNEL
          ? await this.#tunnel(request, connection)
          : this.#relay(request, connection);
      case "GET":
      case "POST":
        return await this.#page(request, connection);
      default:
        // Without a body, for HEAD has none.
        return { status: 405, fields: [["Allow", "GET, POST"]], cookies: [], body: "" };
    }
  }

  async #page(request: HttpRequest, connection: VpnConnection): Promise<HttpResponse> {
    const { facts, signal } = connection;
    const isPost = request.method === "POST";
    const [path = ""] = request.target.split("?", 1);
    const [, authenticator] = PAGES.exec(path) ?? [];
    if (authenticator !== undefined) {
      return (await this.#authenticatorPage(authenticator, request, connection)) ?? NOT_FOUND;
    }
    if (path === "/logout") return await this.#login.logout(request);
    const found = isPost ? undefined : staticAnswer(path, this.#options.site());
    if (found) return found;
    const isOurs = isPost || request.fields.get("X-Transcend-Version") !== undefined;
    const isLogin = LOGIN_PATHS.has(path) || (isOurs && groupOfPath(path) !== undefined);
    return isLogin ? await this.#login.serve(request, path, facts, signal) : NOT_FOUND;
  }

  async #authenticatorPage(
    authenticator: string,
    request: HttpRequest,
    { facts, signal }: VpnConnection,
  ): Promise<HttpResponse | undefined> {
    const { method, target, fields, body } = request;
    const url = URL.parse(`${publicUrlOf(fields, facts)}${target}`);
    if (!url) return undefined;
    const cookies = parseCookies(fields.all("Cookie"));
    const asked = { method, url, cookies, body: body.toString("utf8") };
    const page = await this.#options.service.page(authenticator, asked, signal);
    return page && { ...page, fields: [...page.headers] };
  }

  async #tunnel(request: HttpRequest, connection: VpnConnection): Promise<Served> {
    const { engine, service, udpPort } = this.#options;
    const { facts, signal } = connection;
    const options = { service, udpPort: udpPort() };
    const start = await startTunnel(request, facts, options, signal);
    if (start.kind === "refused") return start.response;
    try {
      if (signal.aborted) return "taken";
      connection.leave();
      this.#connections.delete(facts.id);
      engine.attach(facts.id, start.sessionId, start.head, start.dtls);
      return "taken";
    } finally {
      // The engine has copied it.
      wipeSecret(start.dtls);
    }
  }

  #relay(request: HttpRequest, connection: VpnConnection): Served {
    const { method, target, version, fields } = request;
    const rawHeaders = fields.entries.flat();
    const authority = parseConnectRequest({ method, target, version, rawHeaders });
    const { id, certificates, verification, remoteAddress } = connection.facts;
    const [certificate] = certificates;
    if (!verification.isVerified || certificate === undefined) return NO_CERTIFICATE;
    const head = connection.takeRest();
    const socket = new EngineStream(this.#options.engine, id);
    connection.become(socket);
    socket.once("close", () => this.#connections.delete(id));
    // Until the relay takes over; without a listener an error would end the process.
    socket.on("error", () => socket.destroy());
    const reset = () => socket.reset();
    const establish = () => void socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    const refuse = (refusal: RefusalResponse) => refuseOn(socket, refusal);
    const place = this.#admission.enter(socket, remoteAddress);
    if (!place) {
      this.#options.onMalformed(TOO_MANY.code);
      refuse(TOO_MANY);
      return "taken";
    }
    const accept = place.release;
    const wasCut = () => false;
    const of = { authority, socket, certificate, head };
    this.#options.onRelay({ ...of, establish, refuse, reset, wasCut, accept });
    return "taken";
  }
}

function plain(status: number, message: string): HttpResponse {
  const fields = [["Content-Type", "text/plain; charset=utf-8"]] as const;
  return { status, fields, cookies: [], body: `${message}\n` };
}

const NOT_FOUND = plain(404, "nothing stands here");

const TOO_MANY: RefusalResponse = {
  status: 429,
  error: "connection_limit_reached",
  code: "limit-connections",
  message: "too many connections from here wait to be let in; try again in a moment",
};
const WANTED = "the relay wants a client certificate of a known authority";
const NO_CERTIFICATE: HttpResponse = {
  ...plain(403, WANTED),
  fields: [
    [
      "Proxy-Status",
      encodeProxyStatus({ error: "http_request_denied", details: fieldText(WANTED) }),
    ],
  ],
};

import type { LoginAnswer, LoginRequest, VpnService } from "../core/vpn/vpn-service-port.ts";
import type { EngineConnection } from "../core/vpn-engine.ts";
import { type ClientFacts, readClientFacts } from "../protocol/client-facts.ts";
import {
  expiredCookie,
  hintsCookies,
  LOGIN_COOKIE,
  loginCookie,
  parseCookies,
  SESSION_COOKIE,
  sessionCookie,
} from "../protocol/cookies.ts";
import type { HttpRequest } from "../protocol/http-requests.ts";
import { type HttpResponse, refusalFields } from "../protocol/http-response.ts";
import {
  encodeCertificateRequest,
  encodeLoginForm,
  encodeLoginRefusal,
  encodeLoginSuccess,
  type XmlForm,
} from "../protocol/login-form.ts";
import { groupOfPath, type LoginMessage, parseLoginMessage } from "../protocol/login-message.ts";
import { publicUrlOf } from "./public-url.ts";
import type { VpnSite } from "./vpn-static-pages.ts";

/** Own choice: how long a client keeps where its login stands; the core forgets it sooner. */
const LOGIN_COOKIE_SECONDS = 600;

/** The login over HTTP: reads what a client sends to `/`, `/auth` or a group's path, asks the core, and writes its answer. */
export class VpnLoginPages {
  readonly #service: VpnService;
  readonly #site: () => VpnSite;

  constructor(service: VpnService, site: () => VpnSite) {
    this.#service = service;
    this.#site = site;
  }

  async serve(
    request: HttpRequest,
    path: string,
    connection: EngineConnection,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const message = messageOf(request);
    if (message.kind === "logout") return await this.logout(request, message.token);
    const client = readClientFacts(request.fields, message.client);
    const of: LoginRequest = {
      connection,
      client,
      group: message.group ?? groupOfPath(path),
      bearerToken: bearerTokenOf(request),
      canBringToken: canBringToken(request, client),
      hasNoCertificate: message.kind === "init" && message.hasNoCertificate,
      publicUrl: publicUrlOf(request.fields, connection),
    };
    const { login } = this.#service;
    const opaque = message.kind === "reply" ? (message.opaque ?? contextOf(request)) : undefined;
    const answer =
      message.kind === "reply" && opaque !== undefined
        ? await login.answer(opaque, message.fields, of, signal)
        : await login.begin(of, signal);
    const isGroupFixed = message.isGroupFixed || groupOfPath(path) !== undefined;
    // A second 401 after its token is an end without words to openconnect.
    const readsXml = isXml(request) || of.bearerToken !== undefined;
    return this.#page(isGroupFixed ? withoutGroups(answer) : answer, client, readsXml);
  }

  async logout(request: HttpRequest, token?: string): Promise<HttpResponse> {
    const cookie = token ?? parseCookies(request.fields.all("Cookie")).get(SESSION_COOKIE);
    if (cookie !== undefined) await this.#service.logout(cookie);
    const cookies = [SESSION_COOKIE, LOGIN_COOKIE].map(expiredCookie);
    return { ...page("<html></html>\n", cookies), fields: [["Content-Type", "text/html"]] };
  }

  #page(answer: LoginAnswer, client: ClientFacts, readsXml: boolean): HttpResponse {
    const as: XmlForm = client.isOldOpenConnect ? "auth-alone" : "config-auth";
    switch (answer.kind) {
      case "form":
        return page(encodeLoginForm(answer, as), [context(answer.opaque)]);
      case "browse": {
        const browse = { ...answer, isExternal: client.browserKey !== undefined };
        return page(encodeLoginForm({ ...answer, fields: [], browse }), [context(answer.opaque)]);
      }
      case "certificate":
        return page(encodeCertificateRequest(), [context(answer.opaque)]);
      case "token":
        return { status: 401, fields: TOKEN_CHALLENGE, cookies: [], body: `${answer.message}\n` };
      case "accepted":
        return this.#success(answer, as);
      case "refused":
        return refusal(answer.refusal, as, readsXml);
    }
  }

  #success(answer: Extract<LoginAnswer, { kind: "accepted" }>, as: XmlForm): HttpResponse {
    const { certificateHash, profile } = this.#site();
    const { cookie: token, banner } = answer;
    const body = encodeLoginSuccess({ token, banner, certificateHash, profile }, as);
    return page(body, [
      // As Cisco's servers do: the login is over, and what group it was for stays with the client.
      context(`00@${answer.group}`),
      sessionCookie(token),
      ...hintsCookies({ certificateHash, profile }),
    ]);
  }
}

/**
 * openconnect and AnyConnect show the text of a page with status 200 alone: openconnect 9.01 takes any other for a server that
 * cannot read XML, and begins anew in the old way. There, and with clients that begin so, 401 says that it is over.
 */
function refusal(
  why: Extract<LoginAnswer, { kind: "refused" }>["refusal"],
  as: XmlForm,
  readsXml: boolean,
): HttpResponse {
  const answer = page(encodeLoginRefusal(why.message, as), [expiredCookie(LOGIN_COOKIE)]);
  const fields = [...answer.fields, ...refusalFields(why)];
  return { ...answer, status: readsXml ? 200 : 401, fields };
}

function withoutGroups(answer: LoginAnswer): LoginAnswer {
  return answer.kind === "form" || answer.kind === "browse" ? { ...answer, groups: [] } : answer;
}

function messageOf(request: HttpRequest): LoginMessage {
  if (request.method === "POST") return parseLoginMessage(request.body);
  const group = undefined;
  return { kind: "init", client: {}, group, isGroupFixed: false, hasNoCertificate: false };
}

function isXml(request: HttpRequest): boolean {
  return request.method === "POST" && /^\s*<|^\xef\xbb\xbf/.test(request.body.toString("latin1"));
}

function contextOf(request: HttpRequest): string | undefined {
  return parseCookies(request.fields.all("Cookie")).get(LOGIN_COOKIE);
}

function context(opaque: string): string {
  return loginCookie(opaque, LOGIN_COOKIE_SECONDS);
}

function bearerTokenOf(request: HttpRequest): string | undefined {
  return /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(request.fields.get("Authorization") ?? "")?.[1];
}

/**
 * openconnect keeps its token until a 401 asks for one (http-auth.c). It says that it can be asked unless it has a browser to go
 * on in (library.c), or has been asked and has none: `fallback` has it come again and say so no more. Unless its user names the
 * method, 9.01 takes the first 401 for one of Basic, and begins anew with `GET /<group>`. What AnyConnect makes of a 401 is not known.
 */
function canBringToken({ fields }: HttpRequest, { kind }: ClientFacts): boolean {
  const isAskable = fields.get("X-Support-HTTP-Auth")?.toLowerCase() === "true";
  return kind === "openconnect" && isAskable && fields.get("Authorization") === undefined;
}

const TOKEN_CHALLENGE: HttpResponse["fields"] = [
  ["Content-Type", "text/plain; charset=utf-8"],
  ["WWW-Authenticate", 'Bearer realm="vpn"'],
  ["X-HTTP-Auth-Support", "fallback"],
];

function page(body: string, cookies: readonly string[]): HttpResponse {
  return { status: 200, fields: [["Content-Type", "text/xml; charset=utf-8"]], cookies, body };
}

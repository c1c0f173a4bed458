import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import express, {
  type ErrorRequestHandler,
  type Request,
  type RequestHandler,
  type Response,
  Router,
} from "express";
import type { Logger } from "pino";
import { z } from "zod";
import type { Session } from "../core/admin-records.ts";
import type { ApiOperations, ApiStream } from "../core/api-operations.ts";
import type { Records } from "../core/ports.ts";
import { SESSION_MS, type SignIn } from "../core/sign-in.ts";
import { requirePercentEncoding } from "../protocol/percent-encoding.ts";
import { ApiRefusal, ConsoleApi } from "./console-api.ts";
import type { Html } from "./html.ts";
import type { Page, PageAnswer, PageRequest } from "./page.ts";
import { problemPage, refusalPage, signInPage } from "./page-frame.ts";
import { PAGES } from "./pages.ts";
import { statusPage } from "./status-page.ts";
import { STYLE_HASH } from "./style.ts";

const MAX_FORM_BYTES = 4_096;
/** `__Host-`: this host alone, HTTPS alone, every path (RFC 6265bis section 4.1.3.2). */
const COOKIE = "__Host-isthmus-session";
const COOKIE_VALUE = new RegExp(`(?:^|; *)${COOKIE}=([A-Za-z0-9_-]{43})(?:;|$)`);

const HEADERS = {
  "content-security-policy": `default-src 'none'; style-src ${STYLE_HASH}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
};

const form = z.object({
  userName: z.string().min(1).max(128),
  password: z.string().min(1).max(1_024),
  next: z.string().max(2_048).optional(),
});
/** As `body-parser` throws them: faults of whoever sent the form. */
const parserError = z.object({
  type: z.string(),
  status: z.number().min(400).max(499),
  limit: z.number().optional(),
});
/** A page of our own: never another site's, nor `//host`. */
const OWN_PAGE = /^\/(devices|sources)(\/|\?|$)/;
const OWN_PATHS = ["/", "/sign-in", "/sign-out", "/devices{/*rest}", "/sources{/*rest}"];

export interface ConsoleDependencies {
  readonly records: Records;
  readonly signIn: SignIn;
  readonly api: ApiOperations;
  readonly log: Logger;
  /** Sends a page that comes in pieces, as fast as the browser takes it. */
  readonly sendStream: (
    response: Response,
    status: number,
    stream: ApiStream,
    how: { readonly signal: AbortSignal; readonly mayGoOn: () => Promise<boolean> },
  ) => Promise<void>;
}

/** The status page at `/` and the pages of devices and sources: plain HTML with a form to sign in, no script at all. */
export function consoleRouter(of: ConsoleDependencies): Router {
  const { records, signIn, log } = of;
  const router = Router({ caseSensitive: true });
  router.use(({ originalUrl }, _response, next) => {
    requirePercentEncoding(originalUrl);
    next();
  });
  router.use(OWN_PATHS, (_request, response, next) => {
    response.set(HEADERS);
    next();
  });
  router.get("/", async (request, response) => {
    const session = await sessionOf(signIn, request);
    send(response, 200, session ? await statusPage(records, session) : signInPage(undefined));
  });
  router.post(
    "/sign-in",
    sameOriginOnly,
    express.urlencoded({ extended: false, limit: MAX_FORM_BYTES }),
    async (request, response) => {
      const parsed = form.safeParse(request.body ?? {});
      if (!parsed.success) return send(response, 400, signInPage("Type a user name and password."));
      const { userName, password, next } = parsed.data;
      const address = request.socket.remoteAddress ?? "unknown";
      const { token } = await signIn.open(userName, password, address);
      setCookie(response, token, SESSION_MS / 1000);
      response.redirect(303, next !== undefined && OWN_PAGE.test(next) ? next : "/");
    },
  );
  router.post("/sign-out", sameOriginOnly, async (request, response) => {
    const session = await sessionOf(signIn, request);
    if (session !== undefined) await signIn.close(tokenOf(request) ?? "", session);
    setCookie(response, "", 0);
    response.redirect(303, "/");
  });
  for (const page of PAGES) bindPage(router, of, page);
  router.use((_request, response) => {
    const where =
      "there are the status page at /, devices at /devices, sources at /sources and the API below /beta/deviceManagement\n";
    response.status(404).set(HEADERS).type("text/plain").send(where);
  });
  router.use(answerError(log));
  return router;
}

/** Whoever is not signed in sees the form, and the page that they wanted after it. */
function bindPage(router: Router, of: ConsoleDependencies, page: Page): void {
  const { signIn, api } = of;
  const handle: RequestHandler = async (request, response) => {
    const session = await sessionOf(signIn, request);
    if (session === undefined) {
      return send(
        response,
        401,
        signInPage(undefined, page.method === "get" ? request.originalUrl : "/devices"),
      );
    }
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const answer = await answerPage(page, {
      api: new ConsoleApi(api, session, gone.signal),
      parameters: request.params as Record<string, string>,
      query: new URL(request.originalUrl, "https://console").searchParams,
      form: (request.body ?? {}) as Record<string, unknown>,
    });
    if ("seeOther" in answer) response.redirect(303, answer.seeOther);
    else if ("page" in answer) send(response, answer.status, answer.page);
    else {
      const stream =
        "file" in answer
          ? answer.file
          : { contentType: "text/html; charset=utf-8", chunks: answer.chunks };
      const mayGoOn = () => signIn.goesOn(tokenOf(request) ?? "", session);
      await of.sendStream(response, answer.status, stream, { signal: gone.signal, mayGoOn });
    }
  };
  if (page.method === "get") router.get(page.path, handle);
  else {
    const limit = page.maxFormBytes ?? MAX_FORM_BYTES;
    const parseForm = express.urlencoded({ extended: false, limit });
    router.post(page.path, sameOriginOnly, parseForm, handle);
  }
}

async function answerPage(page: Page, request: PageRequest): Promise<PageAnswer> {
  try {
    return await page.answer(request);
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    const { status, message } = error;
    return { status, page: refusalPage(message, request.api.session, page.path) };
  }
}

/**
 * A form of another site is refused. The cookie is SameSite=Strict already; this also keeps a stranger from signing
 * somebody in to an account of his own.
 */
function sameOriginOnly(request: Request, _response: Response, next: () => void): void {
  const site = request.get("sec-fetch-site");
  const origin = request.get("origin");
  const isSame =
    site === undefined
      ? origin === undefined || origin === `https://${request.get("host")}`
      : site === "same-origin";
  if (!isSame) throw new ConnectorError("cross-site", "The form was sent by another site");
  next();
}

function setCookie(response: Response, value: string, maxAgeSeconds: number): void {
  response.set(
    "set-cookie",
    `${COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}`,
  );
}

function tokenOf(request: Request): string | undefined {
  return COOKIE_VALUE.exec(request.get("cookie") ?? "")?.[1];
}

async function sessionOf(signIn: SignIn, request: Request): Promise<Session | undefined> {
  const token = tokenOf(request);
  return token === undefined ? undefined : await signIn.find(token);
}

const PROBLEMS: Readonly<Record<string, readonly [status: number, problem: string]>> = {
  "login-refused": [401, "User name or password is wrong."],
  "login-throttled": [429, "Too many failed attempts. Wait a few minutes."],
  "too-many-logins": [503, "Too many people sign in right now. Try again."],
  "cross-site": [403, "The form was sent by another site."],
};

function answerError(log: Logger): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (response.headersSent) return next(error);
    const [status, problem] = PROBLEMS[codeOf(error)] ?? [500, undefined];
    if (problem !== undefined) return send(response, status, signInPage(problem));
    response.set(HEADERS);
    if (codeOf(error) === "address-encoding") {
      return send(response, 400, problemPage("Bad address", `${error.message}.`));
    }
    const refused = formRefusal(error);
    if (refused !== undefined) {
      const [refusal, words] = refused;
      return send(response, refusal, problemPage("Form not taken", words));
    }
    log.error({ err: error }, "console.failed");
    send(response, 500, problemPage("Error", "The control plane failed; its log says why."));
  };
}

/** What `body-parser` has against a form, by its `type`. */
function formRefusal(error: unknown): readonly [status: number, words: string] | undefined {
  const parsed = parserError.safeParse(error);
  if (!parsed.success) return undefined;
  const { type, status, limit } = parsed.data;
  if (type !== "entity.too.large") {
    return [
      status,
      "The form did not arrive whole, or not as a browser sends it. Nothing was done.",
    ];
  }
  const size = limit === undefined ? "" : `, which is ${limit} bytes`;
  return [
    413,
    `The form is longer than this page takes${size}. Nothing was done: go back, shorten what was typed and send it again.`,
  ];
}

function send(response: Response, status: number, page: Html): void {
  response.status(status).type("html").send(page.text);
}

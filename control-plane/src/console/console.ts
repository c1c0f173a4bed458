import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import express, { type ErrorRequestHandler, type Request, type Response, Router } from "express";
import type { Logger } from "pino";
import { z } from "zod";
import type { Session } from "../core/admin-records.ts";
import type { Records } from "../core/ports.ts";
import { SESSION_MS, type SignIn } from "../core/sign-in.ts";
import { type Html, html } from "./html.ts";
import { signInPage, statusPage } from "./status-page.ts";
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
});

export interface ConsoleDependencies {
  readonly records: Records;
  readonly signIn: SignIn;
  readonly log: Logger;
}

/** The status page at `/`: plain HTML with a form to sign in, no script at all. */
export function consoleRouter({ records, signIn, log }: ConsoleDependencies): Router {
  const router = Router();
  router.use(["/", "/sign-in", "/sign-out"], (_request, response, next) => {
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
      const { userName, password } = parsed.data;
      const address = request.socket.remoteAddress ?? "unknown";
      const { token } = await signIn.open(userName, password, address);
      setCookie(response, token, SESSION_MS / 1000);
      response.redirect(303, "/");
    },
  );
  router.post("/sign-out", sameOriginOnly, async (request, response) => {
    const session = await sessionOf(signIn, request);
    if (session !== undefined) await signIn.close(tokenOf(request) ?? "", session);
    setCookie(response, "", 0);
    response.redirect(303, "/");
  });
  router.use((_request, response) => {
    const where = "there are the status page at / and the API below /beta/deviceManagement\n";
    response.status(404).set(HEADERS).type("text/plain").send(where);
  });
  router.use(answerError(log));
  return router;
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
    log.error({ err: error }, "console.failed");
    send(
      response,
      500,
      html`<!doctype html><title>Error</title><p>The control plane failed; its log says why.</p>`,
    );
  };
}

function send(response: Response, status: number, page: Html): void {
  response.status(status).type("html").send(page.text);
}

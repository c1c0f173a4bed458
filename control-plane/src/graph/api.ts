import { randomUUID } from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
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
import { bodyFault } from "../core/body-faults.ts";
import { requirePercentEncoding } from "../protocol/percent-encoding.ts";
import { errorAnswer, errorBody } from "./api-errors.ts";
import { parseBody } from "./body.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { performRoute } from "./perform-route.ts";
import type { ApiRequest, Route } from "./route.ts";
import { allRoutes } from "./routes/all.ts";
import { sendStream } from "./send-stream.ts";

/** Our own limits. */
const MAX_BODY_BYTES = 524_288;
const MAX_LOGIN_BODY_BYTES = 4_096;
const BEARER = /^Bearer ([A-Za-z0-9_-]{43})$/;

/** The API: `/api/session` to sign in and out, `/beta/deviceManagement/...` in Graph's shape. */
export function apiRouter(api: ApiDependencies, log: Logger): Router {
  const router = Router({ caseSensitive: true, strict: false });
  router.use(["/api", "/beta"], beginAnswer);
  router.use("/api/session", sessionRouter(api));
  router.use("/beta/deviceManagement", deviceManagementRouter(api));
  router.use(["/api", "/beta"], (request: Request) => {
    const { method, baseUrl, path } = request;
    const asked = `${method} ${baseUrl}${path}`.slice(0, 200);
    throw new ConnectorError("not-found", `There is no operation ${asked}`);
  });
  router.use(["/api", "/beta"], answerError(log));
  return router;
}

const beginAnswer: RequestHandler = (request, response, next) => {
  response.locals["requestId"] = randomUUID();
  response.set({
    "request-id": response.locals["requestId"],
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  requirePercentEncoding(request.originalUrl);
  next();
};

const login = z.strictObject({
  userName: z.string().min(1).max(128),
  password: z.string().min(1).max(1_024),
});

function sessionRouter({ signIn }: ApiDependencies): Router {
  const router = Router();
  router.post("/", jsonBody(MAX_LOGIN_BODY_BYTES), async (request, response) => {
    const { userName, password } = parseBody(login, request.body);
    const { token, session } = await signIn.open(userName, password, addressOf(request));
    response.status(201).json({ token, ...sessionBody(session) });
  });
  router.get("/", async (request, response) => {
    response.json(sessionBody(await authenticate(signIn, request)));
  });
  router.delete("/", async (request, response) => {
    const session = await authenticate(signIn, request);
    await signIn.close(bearerOf(request) ?? "", session);
    response.status(204).end();
  });
  return router;
}

function sessionBody(session: Session) {
  return {
    userName: session.userName,
    roles: session.roles,
    expirationDateTime: new Date(session.expiresAt).toISOString(),
  };
}

function deviceManagementRouter(api: ApiDependencies): Router {
  const router = Router({ caseSensitive: true });
  router.use(async (request, response, next) => {
    response.locals["session"] = await authenticate(api.signIn, request);
    next();
  });
  router.use(jsonBody(MAX_BODY_BYTES));
  for (const route of allRoutes(api)) bind(router, api, route);
  return router;
}

function bind(router: Router, api: ApiDependencies, route: Route): void {
  router[route.method](route.path, async (request: Request, response: Response) => {
    const session = response.locals["session"] as Session;
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const { status, body, stream } = await performRoute(
      route,
      requestOf(api, request, session, gone.signal),
    );
    if (stream !== undefined) {
      const mayGoOn = () => api.signIn.goesOn(bearerOf(request) ?? "", session);
      await sendStream(response, status, stream, { signal: gone.signal, mayGoOn });
    } else if (body === undefined) response.status(status).end();
    else response.status(status).json(body);
  });
}

function requestOf(
  api: ApiDependencies,
  request: Request,
  session: Session,
  signal: AbortSignal,
): ApiRequest {
  const [, ...search] = request.originalUrl.split("?");
  return {
    parameters: request.params as Record<string, string>,
    query: new URLSearchParams(search.join("?")),
    body: request.body,
    ifMatch: request.get("if-match")?.replaceAll('"', ""),
    idempotencyKey: request.get("idempotency-key")?.replaceAll('"', ""),
    accept: request.get("accept") ?? "",
    signal,
    session,
    act: { actor: session.userName, now: api.clock.now() },
  };
}

/** A body is JSON by its content type too: a browser cannot be made to send that across sites. */
function jsonBody(limit: number): RequestHandler {
  const parse = express.json({ limit, type: "application/json", strict: true });
  return (request, response, next) => {
    const hasBody =
      Number(request.get("content-length") ?? 0) > 0 ||
      request.get("transfer-encoding") !== undefined;
    if (hasBody && !request.is("application/json")) {
      throw new ConnectorError("body-not-json", "The body has to be application/json");
    }
    parse(request, response, (error?: unknown) => next(error && bodyError(error, limit)));
  };
}

function bodyError(error: unknown, limit: number): unknown {
  const type = error instanceof Error && "type" in error ? error.type : undefined;
  if (type === "entity.too.large") {
    return new ConnectorError("body-too-large", `The body exceeds ${limit} bytes`);
  }
  const words = error instanceof SyntaxError ? placeOf(error.message) : "";
  return bodyFault("", `is no valid JSON${words}`);
}

/** V8 says where it is; of what stands there nothing is repeated. */
function placeOf(words: string): string {
  const place = /\(line (\d+) column (\d+)\)/.exec(words);
  return place === null ? "" : ` at line ${place[1]}, column ${place[2]}`;
}

async function authenticate(signIn: ApiDependencies["signIn"], request: Request): Promise<Session> {
  const token = bearerOf(request);
  const session = token === undefined ? undefined : await signIn.find(token);
  if (session !== undefined) return session;
  throw new ConnectorError("unauthenticated", "Sign in at /api/session and send its bearer token");
}

function bearerOf(request: Request): string | undefined {
  return BEARER.exec(request.get("authorization") ?? "")?.[1];
}

function addressOf(request: Request): string {
  return request.socket.remoteAddress ?? "unknown";
}

/** Graph's error shape. An error that is not ours is logged whole and leaves without detail. */
function answerError(log: Logger): ErrorRequestHandler {
  return (error, _request, response, next) => {
    if (response.headersSent) return next(error);
    const answer = errorAnswer(error);
    const requestId = String(response.locals["requestId"]);
    if (answer.status === 500) log.error({ err: error, requestId }, "api.failed");
    else log.info({ code: answer.innerCode, status: answer.status, requestId }, "api.refused");
    response
      .status(answer.status)
      .set(answer.headers)
      .json(errorBody(answer, { "request-id": requestId, date: new Date().toISOString() }));
  };
}

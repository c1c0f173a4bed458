import { chmodSync, closeSync, openSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import type { Logger } from "pino";
import { z } from "zod";
import { ConnectorError, codeOf } from "../errors.ts";

/** Own limits. */
const MAX_REQUEST_BYTES = 131_072;
const MAX_ANSWER_BYTES = 4_194_304;
const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 30_000;
/** `sun_path` of unix(7), less its closing NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

/** What a running service does for its command line: by name, JSON in, JSON out. */
export type ControlHandlers = Readonly<Record<string, (argument: unknown) => Promise<unknown>>>;

const request = z.object({ method: z.string().max(64), argument: z.unknown() });
const answer = z.union([
  z.object({ result: z.unknown() }),
  z.object({ error: z.object({ code: z.string(), message: z.string() }) }),
]);

/**
 * Listens on a Unix socket (mode 0600) for the service's own command line: one JSON line in, one out, per connection.
 * Whoever may open the socket may read the state folder too, so it needs no further authentication.
 */
export async function serveControlSocket(
  path: string,
  handlers: ControlHandlers,
  log: Logger,
): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => socket.destroy());
    serve(socket, handlers, log).catch(() => socket.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  rmSync(path, { force: true });
  const reachable = shortPath(path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new ConnectorError("control-socket", `cannot listen on ${path}`, { cause })),
    );
    server.listen(reachable.path, () => resolve());
  });
  chmodSync(path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      reachable[Symbol.dispose]();
      rmSync(path, { force: true });
    },
  };
}

async function serve(socket: Socket, handlers: ControlHandlers, log: Logger): Promise<void> {
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
  const line = await readAll(socket, MAX_REQUEST_BYTES);
  socket.end(`${JSON.stringify(await respond(line, handlers, log))}\n`);
}

async function respond(line: string, handlers: ControlHandlers, log: Logger) {
  try {
    const { method, argument } = request.parse(JSON.parse(line));
    const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
    if (handler === undefined) throw new ConnectorError("control-unknown", `no method ${method}`);
    return { result: (await handler(argument)) ?? null };
  } catch (error) {
    const isOurs = error instanceof ConnectorError;
    if (!isOurs) log.error({ err: error }, "control.failed");
    const message = isOurs ? error.message : "the running service failed; its log says why";
    return { error: { code: codeOf(error), message } };
  }
}

/**
 * Asks a running service; undefined where none runs.
 *
 * @throws ConnectorError what the service answered, or `control-timeout`.
 */
export async function askRunningService(
  path: string,
  method: string,
  argument: unknown = null,
): Promise<{ readonly result: unknown } | undefined> {
  const socket = await open(path);
  if (socket === undefined) return undefined;
  socket.setTimeout(TIMEOUT_MS, () => {
    socket.destroy(new ConnectorError("control-timeout", "the running service does not answer"));
  });
  socket.end(`${JSON.stringify({ method, argument })}\n`);
  const answered = answer.parse(JSON.parse(await readAll(socket, MAX_ANSWER_BYTES)));
  if ("error" in answered) throw new ConnectorError(answered.error.code, answered.error.message);
  return { result: answered.result };
}

/** A connection, or undefined where nobody listens: no socket, or one that a killed process left. */
async function open(path: string): Promise<Socket | undefined> {
  let reachable: ReturnType<typeof shortPath>;
  try {
    reachable = shortPath(path);
  } catch {
    return undefined;
  }
  using target = reachable;
  const socket = connect({ path: target.path, allowHalfOpen: true });
  return await new Promise((resolve, reject) => {
    socket.once("connect", () => resolve(socket));
    socket.once("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT" || cause.code === "ECONNREFUSED") return resolve(undefined);
      reject(
        new ConnectorError(
          "control-socket",
          `cannot ask the service at ${path}: ${cause.message}`,
          {
            cause,
          },
        ),
      );
    });
  });
}

async function readAll(socket: Socket, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new ConnectorError("control-too-large", `control message exceeds ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * The path, or where it is longer than a socket address holds, the same file by way of its opened folder (Linux).
 *
 * @throws ConnectorError `control-socket` where there is no such way.
 */
export function shortPath(path: string): Disposable & { readonly path: string } {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { path, [Symbol.dispose]() {} };
  if (process.platform !== "linux") {
    throw new ConnectorError(
      "control-socket",
      `${path} is longer than the ${MAX_SOCKET_PATH_BYTES} bytes of a socket address: move the state folder up`,
    );
  }
  const descriptor = openSync(dirname(path), "r");
  return {
    path: `/proc/self/fd/${descriptor}/${basename(path)}`,
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

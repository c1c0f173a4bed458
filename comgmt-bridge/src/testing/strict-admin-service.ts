import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
} from "@isthmus/shared/testing/certificate-authority";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";

export const TOKEN = "test-token.1";
export const FIRST_ID = 16_777_220;
const DAY_MS = 86_400_000;

/** What becomes of one request. */
export type Behaviour =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly body: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Nothing is sent; `head` sends the head and then nothing. */
  | { readonly kind: "hang"; readonly head?: boolean }
  | { readonly kind: "cut" }
  | { readonly kind: "serve" };

export interface SeenRequest {
  readonly method: string;
  /** Decoded, with its query, below the base path. */
  readonly path: string;
  /** One number for each connection. */
  readonly connection: number;
  readonly body: string;
}

export interface StrictAdminService extends AsyncDisposable {
  readonly url: string;
  readonly caPem: string;
  readonly authority: TestIdentity;
  readonly leaf: TestIdentity;
  readonly requests: SeenRequest[];
  devices: number[];
  /** Decides about each request; `serve` answers from the devices. */
  behave: (request: SeenRequest) => Behaviour;
  token: string;
}

const SERVE: Behaviour = { kind: "serve" };

/**
 * An AdminService that refuses whatever is not exactly as it has to be: another path, another token, an option or a filter that
 * no public source shows. It has devices, and nothing else.
 */
export async function startStrictAdminService(
  names: readonly string[] = ["localhost"],
): Promise<StrictAdminService> {
  const { authority, leaf } = await identities(names);
  const connections = new WeakMap<object, number>();
  let connectionCount = 0;
  const server = createServer({
    cert: [leaf, authority].map((each) => derToPem(each.certificate.der, "CERTIFICATE")).join("\n"),
    key: leaf.key.export({ type: "pkcs8", format: "pem" }),
  });
  server.on("secureConnection", (socket) => connections.set(socket, ++connectionCount));
  server.on("request", async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const [, path] = /^\/AdminService_TokenAuth\/(.+)$/.exec(request.url ?? "") ?? [];
    const isKnown = request.headers.authorization === `Bearer ${service.token}`;
    const seen = {
      ...{ method: request.method ?? "", body, connection: connections.get(request.socket) ?? 0 },
      path: decodeURIComponent(path ?? "?"),
    };
    service.requests.push(seen);
    if (path === undefined) answer(response, 404, "");
    else if (!isKnown) answer(response, 401, "");
    else perform(request, response, service.behave(seen), () => served(seen, service.devices));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const service: StrictAdminService = {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    caPem: derToPem(authority.certificate.der, "CERTIFICATE"),
    authority,
    leaf,
    requests: [],
    devices: Array.from({ length: 25 }, (_, index) => FIRST_ID + index * 2),
    behave: () => SERVE,
    token: TOKEN,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return service;
}

async function identities(names: readonly string[]) {
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + 90 * DAY_MS };
  const authority = await testAuthority({ subject: "CN=SMS Issuing", ...validity });
  const extensions = [
    subjectAltNameExtension(names.map((value) => ({ type: "dns", value }) as const)),
  ];
  const leaf = await testCertificate(
    { subject: "CN=provider", extensions, ...validity },
    authority,
  );
  return { authority, leaf };
}

function perform(
  request: IncomingMessage,
  response: ServerResponse,
  behaviour: Behaviour,
  serve: () => readonly [number, unknown],
): void {
  switch (behaviour.kind) {
    case "answer":
      answer(response, behaviour.status, behaviour.body, behaviour.headers);
      return;
    case "hang":
      if (behaviour.head) response.writeHead(200, { "content-length": 100 }).write('{"value":[');
      return;
    case "cut":
      request.socket.destroy();
      return;
    case "serve":
      answer(response, ...serve());
  }
}

function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
}

const LIST = /^(?:wmi\/(SMS_R_System)|v1\.0\/(Device))(?:\?(.*))?$/;
const FILTER = /^(ResourceId|MachineId) (gt|ge) (\d+)(?: and \1 le (\d+))?$/;
const OPTIONS = ["$filter", "$select", "$orderby", "$top"];

function served(
  { method, path }: SeenRequest,
  devices: readonly number[],
): readonly [number, unknown] {
  const [isList, systems, , query = ""] = LIST.exec(path) ?? [];
  if (method !== "GET" || isList === undefined) return [404, ""];
  const keyName = systems === undefined ? "MachineId" : "ResourceId";
  const options = new URLSearchParams(query.replaceAll("+", "%2B"));
  if ([...options.keys()].some((name) => !OPTIONS.includes(name))) return refusedQuery;
  const filter = options.get("$filter") ?? `${keyName} gt 0`;
  const [, name, operator, from = "", through = "Infinity"] = FILTER.exec(filter) ?? [];
  if (name !== keyName) return refusedQuery;
  const least = Number(from) + (operator === "gt" ? 1 : 0);
  const found = devices.filter((id) => id >= least && id <= Number(through));
  if (options.get("$orderby") === `${keyName} desc`) found.reverse();
  const rows = found.slice(0, Number(options.get("$top") ?? "Infinity")).map((id) => ({
    ...{ __GENUS: 2, "@odata.etag": "x", [keyName]: id, Name: `PC${id}` },
    ...(systems === undefined && { SiteCode: "CM1" }),
  }));
  return [200, { "@odata.context": "x", value: rows }];
}

const refusedQuery = [
  400,
  { error: { code: "", message: "The query specified in the URI is not valid." } },
] as const;

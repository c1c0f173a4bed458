import type { IncomingMessage, Server } from "node:http";
import { Counter, type Registry } from "prom-client";

/** Counts what the server answers, by a closed set of areas and the class of the status. */
export function countRequests(server: Pick<Server, "on">, registry: Registry): void {
  const counter = new Counter({
    name: "isthmus_http_requests_total",
    help: "Requests answered, by area and class of status",
    labelNames: ["area", "status"] as const,
    registers: [registry],
  });
  server.on("request", (request, response) => {
    response.once("finish", () => {
      const status = `${Math.floor(response.statusCode / 100)}xx`;
      counter.inc({ area: areaOf(request), status });
    });
  });
}

function areaOf({ url = "" }: IncomingMessage): string {
  if (url.startsWith("/beta/")) return "api";
  if (url.startsWith("/api/session")) return "session";
  if (url.startsWith("/link") || url.startsWith("/enrol")) return "link";
  return "page";
}

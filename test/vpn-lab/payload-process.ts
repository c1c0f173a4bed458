import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { payload } from "./payload.ts";

/** The internal host: `GET /<bytes>` answers a payload, `PUT /` the SHA-256 of what came, `GET /peer` who asks. `node payload-process.ts <port>`. */
const server = createServer((request, response) => {
  if (request.method === "PUT") {
    const hash = createHash("sha256");
    request.on("data", (chunk: Buffer) => hash.update(chunk));
    request.on("end", () => response.end(hash.digest("hex")));
    return;
  }
  if (request.url === "/peer") {
    response.end(request.socket.remoteAddress?.replace(/^::ffff:/, ""));
    return;
  }
  const bytes = Number((request.url ?? "/0").slice(1));
  response.setHeader("content-length", bytes);
  Readable.from(payload(bytes)).pipe(response);
});
server.listen(Number(process.argv[2]), "::", () => process.stdout.write("ready\n"));

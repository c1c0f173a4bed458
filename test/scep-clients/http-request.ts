import { connect } from "node:net";

/** HTTP requests as bytes, because clients differ in what no HTTP library would let them write. */

export function postRequest(message: Buffer, path: string, agent: string): Buffer {
  const head = [
    `POST ${path}?operation=PKIOperation HTTP/1.1`,
    "Host: scep.example.com",
    `User-Agent: ${agent}`,
    "Content-Type: application/x-pki-message",
    `Content-Length: ${message.length}`,
    "Connection: close",
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), message]);
}

export interface GetStyle {
  readonly escaping: "none" | "all";
  readonly agent: string;
  readonly version?: "1.0" | "1.1";
  /** Base64 in lines of 64, as encoders made for mail write it. */
  readonly isInLines?: boolean;
}

export function getRequest(message: Buffer, path: string, style: GetStyle): Buffer {
  const base64 = message.toString("base64");
  const text = style.isInLines ? base64.replace(/.{64}/g, "$&\n") : base64;
  const value = style.escaping === "none" ? text : encodeURIComponent(text);
  const { version = "1.1", agent } = style;
  const head = [
    `GET ${path}?operation=PKIOperation&message=${value} HTTP/${version}`,
    ...(version === "1.0" ? [] : ["Host: scep.example.com", "Connection: close"]),
    `User-Agent: ${agent}`,
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n`);
}

export interface RawAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** Sends bytes to a server and reads its answer to the end. */
export function sendRaw(url: string, request: Buffer): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(request));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.once("error", reject);
    socket.once("close", () => resolve(parsed(Buffer.concat(chunks))));
    // A mutated request may announce more than it holds, and the server would wait for the rest.
    socket.setTimeout(5_000, () => socket.end());
  });
}

function parsed(bytes: Buffer): RawAnswer {
  const end = bytes.indexOf("\r\n\r\n");
  const head = bytes.subarray(0, Math.max(0, end)).toString("latin1");
  const body = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4);
  const contentType = /^content-type:\s*(.+)$/im.exec(head)?.[1] ?? "";
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), contentType, body };
}

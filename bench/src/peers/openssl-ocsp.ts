import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import { type Foreign, startForeign } from "../process/foreign.ts";
import { neededTool } from "./tool.ts";

/** `openssl ocsp` as a responder, with an ECDSA P-256 CA of its own that signs the answers. */
export interface OcspPeer extends AsyncDisposable {
  readonly url: URL;
  readonly process: Foreign;
  /** DER. */
  readonly issuer: Buffer;
}

const READY = "waiting for OCSP client connections";

/** Makes a CA in `folder` that has issued these serial numbers, and starts the responder before its index. */
export async function startOpensslOcsp(
  folder: string,
  serialNumbers: readonly string[],
): Promise<OcspPeer> {
  const openssl = neededTool("openssl");
  mkdirSync(folder, { recursive: true });
  const at = (name: string) => join(folder, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const files = ["-keyout", at("key.pem"), "-out", at("ca.pem")];
  execFileSync(openssl, ["req", "-x509", ...key, ...files, "-subj", "/CN=Bench"], {
    stdio: "ignore",
  });
  const rows = serialNumbers.map(
    (serial) => `V\t351231235959Z\t\t${serial.toUpperCase()}\tunknown\t/CN=${serial}\n`,
  );
  writeFileSync(at("index.txt"), rows.join(""));
  const port = await freePort();
  const words = ["ocsp", "-index", at("index.txt"), "-port", String(port), "-CA", at("ca.pem")];
  const signer = ["-rsigner", at("ca.pem"), "-rkey", at("key.pem"), "-nmin", "5"];
  const server = startForeign(openssl, [...words, ...signer]);
  // Not by a connection: it would wait for the request of that one for ever.
  await server.until("listener", () => server.output().includes(READY));
  return {
    url: new URL(`http://127.0.0.1:${port}/`),
    process: server,
    issuer: execFileSync(openssl, ["x509", "-in", at("ca.pem"), "-outform", "DER"]),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { endChild, LAB, type Lab } from "./namespaces.ts";
import { payload } from "./payload.ts";

export const PAYLOAD_PORT = 8_000;
const TIMEOUT_MS = 120_000;
const PROGRAM = fileURLToPath(new URL("./payload-process.ts", import.meta.url));

/** The internal host's page, which takes and gives payloads over both families. */
export async function startPayloadServer(lab: Lab): Promise<AsyncDisposable> {
  const child = lab.start("internal", [process.execPath, PROGRAM, `${PAYLOAD_PORT}`]);
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once("data", () => resolve());
    child.stderr?.once("data", (chunk: Buffer) => reject(new Error(chunk.toString())));
    child.once("exit", (code) => reject(new Error(`the payload server ended with ${code}`)));
  });
  return { [Symbol.asyncDispose]: () => endChild(child) };
}

/** Fetches a payload on the client and answers its SHA-256, hex. `device` is one of several tunnels. */
export async function download(
  lab: Lab,
  bytes: number,
  family: 4 | 6 = 4,
  device?: string,
): Promise<string> {
  const words = ["curl", "-sS", "--fail", "--max-time", "110", ...through("--interface", device)];
  const line = `${words.join(" ")} ${url(family)}/${bytes} | sha256sum`;
  const printed = await lab.run("client", ["bash", "-c", `set -o pipefail; ${line}`], TIMEOUT_MS);
  return printed.split(" ")[0] ?? "";
}

/** Sends a payload from the client and answers what the internal host has got, as SHA-256, hex. */
export async function upload(
  lab: Lab,
  file: string,
  family: 4 | 6 = 4,
  device?: string,
): Promise<string> {
  const words = ["curl", "-sS", "--fail", "--max-time", "110", ...through("--interface", device)];
  return await lab.run("client", [...words, "-T", file, `${url(family)}/`], TIMEOUT_MS);
}

/** Writes a payload to a file, for `upload`. */
export function writePayload(file: string, bytes: number): string {
  writeFileSync(file, Buffer.concat([...payload(bytes)]));
  return file;
}

/** Whether the internal host answers one of a few pings: a machine with other work may keep one waiting. */
export async function pings(lab: Lab, family: 4 | 6 = 4, device?: string): Promise<boolean> {
  const target = family === 4 ? LAB.internal.ipv4 : LAB.internal.ipv6;
  try {
    const words = ["ping", "-c", "4", "-i", "0.2", "-W", "3", ...through("-I", device)];
    await lab.run("client", [...words, target]);
    return true;
  } catch {
    return false;
  }
}

function through(option: string, device: string | undefined): string[] {
  return device === undefined ? [] : [option, device];
}

function url(family: 4 | 6): string {
  return family === 4
    ? `http://${LAB.internal.ipv4}:${PAYLOAD_PORT}`
    : `http://[${LAB.internal.ipv6}]:${PAYLOAD_PORT}`;
}

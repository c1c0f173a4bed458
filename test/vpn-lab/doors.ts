import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { NetConnectOpts } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { doorServer } from "./door-server.ts";
import { endChild, LAB, type Lab, type Machine } from "./namespaces.ts";

const PROGRAM = fileURLToPath(new URL("./door-process.ts", import.meta.url));

/** A way for this process to connect to the gateway from the client's namespace. */
export interface ClientDoor extends AsyncDisposable {
  readonly path: string;
}

export async function openClientDoor(lab: Lab, folder: string, port: number): Promise<ClientDoor> {
  const path = join(folder, "door.sock");
  const child = await startDoor(lab, "client", { path }, { host: LAB.gateway.ipv4, port });
  return { path, [Symbol.asyncDispose]: () => endChild(child) };
}

/** A way for the gateway to a port of this machine's loopback, under the same number on its own. */
export async function openWayOut(lab: Lab, folder: string, port: number): Promise<AsyncDisposable> {
  const path = join(folder, "way-out.sock");
  const server = doorServer({ host: "127.0.0.1", port });
  await once(server.listen(path), "listening");
  const child = await startDoor(lab, "gateway", { host: "127.0.0.1", port }, { path });
  return {
    async [Symbol.asyncDispose]() {
      await endChild(child);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function startDoor(
  lab: Lab,
  machine: Machine,
  listen: Readonly<Record<string, unknown>>,
  to: NetConnectOpts,
): Promise<ChildProcess> {
  const words = [PROGRAM, JSON.stringify(listen), JSON.stringify(to)];
  const child = lab.start(machine, [process.execPath, ...words]);
  await once(child.stdout ?? child, "data");
  return child;
}

import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import type { CommandHandler } from "@isthmus/shared/kernel/service-definition";
import { commandContext } from "@isthmus/shared/testing/command-context";
import { expect } from "vitest";
import type { Device } from "../core/device.ts";
import {
  connectThrough,
  echo,
  type GatewayTestOptions,
  type GatewayUnderTest,
  openPort,
  readUntil,
  startGateway,
  startTarget,
} from "./gateway-under-test.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "./test-certificates.ts";

/** The bound on how long a connection may outlive what allowed it. */
export const CUT_WITHIN_MS = 2_000;

/** The CA of all live gateways, with a certificate for each of devices d1 and d2; d1's has serial number 4711. */
export const authority = await makeDeviceAuthority();
export const identity = await issueTo(authority, [deviceUri("d1")], { serialNumber: "4711" });
export const otherIdentity = await issueTo(authority, [deviceUri("d2")]);

/** A compliant device of group staff. */
export function device(deviceId: string, change: Partial<Device> = {}): Device {
  return { deviceId, groups: ["staff"], compliance: "compliant", removed: false, ...change };
}

/** A gateway whose device states come from the cloud, with devices d1 and d2, and a target that both may reach. */
export async function startLive(options: GatewayTestOptions = {}) {
  const gateway = await startGateway({ authority, ...options });
  const target = await startTarget(echo);
  await gateway.configure({ policies: openPort(target.port) });
  gateway.kernel.setLink({ connected: true });
  const run = commandsOf(gateway);
  await run("devices.update", {
    version: 1,
    isSnapshot: true,
    devices: [device("d1"), device("d2")],
  });
  // The first look at revocations begins in the background; a round of its own has certainly ended.
  await run("revocation.refresh", {});
  return {
    gateway,
    target,
    run,
    open: async (as = identity) => {
      const { status, socket } = await connectThrough(gateway, `127.0.0.1:${target.port}`, {
        identity: as,
      });
      expect(status).toBe(200);
      socket.write("alive\n");
      expect(await readUntil(socket, "\n")).toBe("alive\n");
      return socket;
    },
    refusal: async (as = identity) => {
      const answer = await connectThrough(gateway, `127.0.0.1:${target.port}`, { identity: as });
      answer.socket.destroy();
      return { status: answer.status, ...answer.body };
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

/** Runs commands as the kernel does: payload read, judged, run. */
function commandsOf({ gateway }: GatewayUnderTest) {
  return async (kind: string, payload: unknown): Promise<unknown> => {
    const handler = gateway.commands[kind] as CommandHandler<unknown>;
    const read = handler.payload.parse(payload);
    await handler.judge?.(read);
    return handler.run(read, commandContext({ id: "c1" }));
  };
}

/** How long it takes until an open connection is reset. */
export async function cutAfter(socket: TLSSocket, act: () => Promise<unknown>): Promise<number> {
  const reset = once(socket.resume(), "error");
  const from = performance.now();
  await act();
  expect((await reset)[0]).toMatchObject({ code: "ECONNRESET" });
  return performance.now() - from;
}

/** Whether a line still comes back. */
export async function isAlive(socket: TLSSocket): Promise<boolean> {
  socket.pause();
  socket.write("alive\n");
  return (await readUntil(socket, "\n")) === "alive\n";
}

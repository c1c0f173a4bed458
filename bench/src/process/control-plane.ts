import type { ServiceOptions } from "./service.ts";

/** A control plane in `folder` on this port of 127.0.0.1, with a CA of its own. */
export function controlPlaneOptions(folder: string, port: number): ServiceOptions {
  return {
    name: "control-plane",
    folder,
    // As deploy/control-plane/Dockerfile has it.
    environment: { NODE_OPTIONS: "--max-semi-space-size=8" },
    configuration: {
      listen: { address: "127.0.0.1", port },
      publicUrl: `https://localhost:${port}`,
      tls: { names: ["localhost", "127.0.0.1"] },
      health: { address: "127.0.0.1", port: 0 },
      log: { level: "warn" },
    },
  };
}

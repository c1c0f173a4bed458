import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { ControlPlaneEnd } from "./control-plane-end.ts";

/** A control plane's end of the link in a process of its own, to be killed. It is asked over IPC. */
const [folder = "", settingsFile = ""] = process.argv.slice(2);
const { tls, tenantKeyPem, port } = JSON.parse(readFileSync(settingsFile, "utf8"));
const tenantKey = createPrivateKey(tenantKeyPem);
const cloud = await ControlPlaneEnd.start({ folder, tls, tenantKey, port });

process.on("message", async ({ connectorId, id }: { connectorId: string; id: string }) => {
  await cloud.command(connectorId, "health.report", { id });
  process.send?.({ queued: id });
});
process.on("disconnect", () => process.exit());
process.send?.({ ready: true });

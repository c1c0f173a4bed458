import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import {
  makeDeviceAuthority,
  makeServerIdentity,
  writeIdentity,
} from "../testing/test-certificates.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

test("a gateway that cannot open its port ends its process, so that a supervisor starts it again", async () => {
  using folder = temporaryFolder();
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const at = taken.address();
  const port = typeof at === "object" && at ? at.port : 0;
  const write = (name: string, content: unknown) =>
    writeFileSync(
      join(folder.path, name),
      typeof content === "string" ? content : JSON.stringify(content),
    );
  write("devices.pem", (await makeDeviceAuthority()).pem);
  write("guardrails.json", { commands: { allow: [] } });
  write("desired.json", { version: 1, configuration: { devices: { source: "list" } } });
  write("config.json", {
    stateFolder: "state",
    guardrailsFile: "guardrails.json",
    standalone: { desiredConfigurationFile: "desired.json" },
    listen: { address: "127.0.0.1", port },
    tls: writeIdentity(folder.path, "server", await makeServerIdentity()),
    trustAnchors: { devices: { file: "devices.pem" } },
  });
  const config = join(folder.path, "config.json");
  const child = spawn(process.execPath, [MAIN, "run", "--config", config]);
  let printed = "";
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const [exitCode] = await once(child, "exit");
  taken.close();
  expect(printed).toContain("[listen-failed]");
  expect(exitCode).toBe(1);
});

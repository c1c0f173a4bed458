import { once } from "node:events";
import { createServer } from "node:net";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { localConfiguration } from "../config/local-configuration.ts";
import { offlineChecks } from "./health-checks.ts";

test("check finds a listen port that another program has before a start does", async () => {
  using folder = temporaryFolder();
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const ca = { folder: `${folder.path}/ca`, passphraseFile: `${folder.path}/passphrase` };
  const local = localConfiguration.parse({ listen: { address: "127.0.0.1", port }, ca });
  const check = offlineChecks({ ...local, stateFolder: folder.path }).find(
    ({ name }) => name === "port",
  );
  expect(await check?.run()).toMatchObject({ status: "unhealthy" });
  server.close();
  expect(await check?.run()).toMatchObject({ status: "healthy" });
});

test("check says how an authority is made where there is none yet, not that its passphrase is missing", async () => {
  using folder = temporaryFolder();
  const ca = { folder: `${folder.path}/ca`, passphraseFile: `${folder.path}/passphrase` };
  const local = localConfiguration.parse({ ca });
  const check = offlineChecks({ ...local, stateFolder: folder.path }).find(
    ({ name }) => name === "ca-keys",
  );
  expect(await check?.run()).toMatchObject({
    status: "unhealthy",
    reason: expect.stringContaining("root.pem"),
    remedy: expect.stringContaining("ca init"),
  });
});

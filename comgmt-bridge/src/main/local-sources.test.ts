import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LeaseWanted } from "@isthmus/shared/link/inventory-messages";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { guardrails, localConfiguration } from "../config/bridge-configuration.ts";
import { bridge } from "./definition.ts";

/** A bridge without a site, with a folder of documents and a domain whose controller is away. */
async function started(folder: string) {
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, "secret", { mode: 0o600 });
  const local = localConfiguration.parse({
    agents: { folder, settleSeconds: 1 },
    directories: [
      {
        ...{ name: "corp.example", urls: ["ldaps://localhost:1"] },
        bind: { dn: "isthmus@corp.example", passwordFile },
      },
    ],
  });
  const kernel = await makeTestKernel({
    ...{ service: bridge.service, storeModule: bridge.storeModule, local, connectorId: "one" },
    guardrails: guardrails.parse({}),
  });
  const told: LeaseWanted[] = [];
  const tell = (message: LeaseWanted) => {
    told.push(message);
    return true;
  };
  const service = await bridge.start({ ...kernel, link: { ...kernel.link, tell } } as never);
  const lease = { type: "lease", isHeld: true, lease: 1, revision: 0, validMs: 60_000 } as const;
  const hold = (source: string) => service.onInventory?.({ ...lease, source });
  const check = async (name: string) => {
    const found = kernel.checks.find((each) => each.name === name);
    return await found?.run();
  };
  return { kernel, service, told, hold, check };
}

test("the sources of the local file ask for their leases, and are read as long as they have them", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "pc-1.ocs");
  const rest = "<DEVICEID>pc-1</DEVICEID><QUERY>INVENTORY</QUERY>";
  writeFileSync(file, `<REQUEST><CONTENT><BIOS><SSN>1</SSN></BIOS></CONTENT>${rest}</REQUEST>`);
  const { kernel, service, told, hold, check } = await started(folder.path);
  const earlier = (kernel.clock.now() - 60_000) / 1_000;
  utimesSync(file, earlier, earlier);
  await using _kernel = kernel;
  await using _service = service;
  const asked = () => new Set(told.map(({ source, sourceType }) => `${sourceType} ${source}`));
  await until(() => asked().size === 2);
  expect(asked()).toEqual(new Set(["agents agents", "active-directory corp.example"]));
  expect(await check("agents")).toMatchObject({ reason: expect.stringMatching(/not read/) });
  hold("agents");
  hold("corp.example");
  await until(async () => (await check("agents"))?.reason === "devices with a document: 1");
  await until(async () => (await check("directory-corp-example"))?.status === "unhealthy");
  expect(await check("inventory")).toMatchObject({
    ...{ status: "warning", reason: expect.stringMatching(/corp\.example cannot be reached/) },
  });
  const figures = await kernel.store.run("sourceFigures" as never, {} as never);
  expect(figures).toContainEqual(
    expect.objectContaining({ source: "agents", kind: "device", records: 1 }),
  );
  // What the control plane asks for is besides them.
  await service.applyConfiguration({ sites: [] }, 1);
  expect(await check("agents")).toMatchObject({ reason: "devices with a document: 1" });
});

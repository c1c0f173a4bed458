import { afterAll, expect, type TestContext, test } from "vitest";
import { missing } from "../peers.ts";
import { isEngineRunning } from "../setup/container-engine.ts";
import { type ContainerSuite, startContainerSuite } from "./container-suite.ts";

let running: ContainerSuite | undefined;
afterAll(() => running?.[Symbol.asyncDispose](), 120_000);

/** Builds three images and starts five containers. */
const TIMEOUT_MS = 600_000;

test("across containers a device enrols a certificate and fetches the internal page with it", {
  timeout: TIMEOUT_MS,
}, async (context) => {
  running = await startOrSkip(context);
  const outcome = await running.play();
  expect(outcome.serialNumber).toMatch(/^[0-9a-f]+$/);
  expect(outcome.page).toContain("This page is inside the network.");
  expect(outcome.refusal.status).toBe(403);
  expect(outcome.refusal.proxyStatus).toContain("default-deny");
});

test("each service runs as an ordinary user on a read-only root, without a capability, and is healthy", {
  timeout: TIMEOUT_MS,
}, async (context) => {
  running ??= await startOrSkip(context);
  for (const { name, container } of running.services) {
    const user = await container.exec(["id", "-u"]);
    expect(user.output.trim(), name).toBe("1000");
    const written = await container.exec(["sh", "-c", "touch /isthmus/x || touch /etc/x"]);
    expect(written.exitCode, name).not.toBe(0);
    expect(written.output, name).toContain("Read-only file system");
    const status = await container.exec(["cat", "/proc/1/status"]);
    expect(status.output, name).toMatch(/CapEff:\s+0{16}/);
    expect(status.output, name).toMatch(/NoNewPrivs:\s+1/);
    const health = await container.exec(["node", "/isthmus/deploy/health-check.mjs"]);
    expect(health.exitCode, `${name}: ${health.output}`).toBe(0);
  }
});

async function startOrSkip(context: TestContext): Promise<ContainerSuite> {
  if (!isEngineRunning()) missing("a container engine", context);
  return startContainerSuite();
}

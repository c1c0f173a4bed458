import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { expect, test } from "vitest";
import { guardrails } from "../config/bridge-configuration.ts";
import { configuredSite } from "../testing/configured-site.ts";
import { startStrictAdminService, TOKEN } from "../testing/strict-admin-service.ts";
import { bridge } from "./definition.ts";
import { SiteWatch } from "./site-watch.ts";

const refused = { status: "unhealthy", remedy: expect.stringMatching(/renew the token/) };

test("the running bridge reads its site's first page, and tells what the provider can do", async () => {
  await using service = await startStrictAdminService();
  using site = configuredSite(service, TOKEN);
  await using kernel = await makeTestKernel({
    ...{ service: bridge.service, storeModule: bridge.storeModule },
    guardrails: guardrails.parse({}),
    local: { site: site.configuration, sites: [] },
  });
  await using _running = await bridge.start(kernel as never);
  expect(await kernel.checks[0]?.run()).toMatchObject({
    ...{ status: "healthy", reason: expect.stringMatching(/is site CM1.*10 devices/) },
  });
  expect(kernel.facts.get("site-code")?.()).toBe("CM1");
  expect(kernel.facts.get("site-breaker")?.()).toBe("closed");
  expect(kernel.facts.get("site-capabilities")?.()).toBe(
    "key=ResourceId gt=yes ge=yes order-by=yes top=yes skip=no next-link=no page-rows=10",
  );
  expect(kernel.figures.get("site-requests-in-flight")?.()).toBe(0);
  expect(kernel.figures.get("site-requests-waiting")?.()).toBe(0);
});

test("good news is good for a minute, bad news is looked at again", async () => {
  await using service = await startStrictAdminService();
  using site = configuredSite(service, TOKEN);
  const clock = new FakeClock();
  using watch = new SiteWatch(site.configuration, { clock, random: systemRandom, stateFolder: "" });
  await watch.check();
  const asked = service.requests.length;
  clock.advance(59_999);
  await watch.check();
  expect(service.requests).toHaveLength(asked);
  service.behave = () => ({ kind: "answer", status: 401, body: "" });
  clock.advance(1);
  expect(await watch.check()).toMatchObject(refused);
  service.behave = () => ({ kind: "serve" });
  expect((await watch.check()).status).toBe("healthy");
});

test("a renewed token is used at the next request", async () => {
  await using service = await startStrictAdminService();
  using site = configuredSite(service, "old.token");
  using watch = new SiteWatch(site.configuration, {
    clock: new FakeClock(),
    random: systemRandom,
    stateFolder: "",
  });
  expect(await watch.check()).toMatchObject(refused);
  site.writeToken(TOKEN);
  expect((await watch.check()).status).toBe("healthy");
});

test("a site that cannot select by key is not read, and the reason said", async () => {
  await using service = await startStrictAdminService();
  const row = { MachineId: 1, ResourceId: 1, SiteCode: "CM1" };
  service.behave = () => ({ kind: "answer", status: 200, body: { value: [row] } });
  using site = configuredSite(service, TOKEN);
  using watch = new SiteWatch(site.configuration, {
    clock: new FakeClock(),
    random: systemRandom,
    stateFolder: "",
  });
  expect(await watch.check()).toMatchObject({
    ...{ status: "unhealthy", reason: expect.stringMatching(/key gt N/) },
  });
});

import { ActionSite } from "@isthmus/comgmt-bridge/site/action-site";
import { asking, clientOf } from "@isthmus/comgmt-bridge/testing/site-under-test";
import { TOKEN } from "@isthmus/comgmt-bridge/testing/strict-admin-service";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { startSite } from "../../simulators/configmgr/site.ts";

/** One call of actions that hangs, and others beside it. */

const FIRST = 16_777_216;
const ALL = Array.from({ length: 8 }, (_, n) => FIRST + n);

test("custom properties that hang keep one place, open no breaker, and starve no other action", async () => {
  const tokens = { [TOKEN]: { name: "CORP\\isthmus" } };
  await using site = await startSite({ devices: ALL.length, siteCode: "CM1", tokens });
  const mend = site.fault({ path: "ExtensionData", fault: { kind: "hang" }, times: "always" });
  const limits = { firstByteTimeoutMs: 1_000, breakerFailures: 2, retries: 2 };
  using client = clientOf(site, { limits: { ...limits, maxAnswerBytes: 1_000_000 } });
  const actions = new ActionSite(client, 1_000);
  const properties = (key: number) =>
    rejectedCode(() => actions.customProperties(key, asking("command")));
  expect(await Promise.all(ALL.map(properties))).toEqual(ALL.map(() => "site-timeout"));
  const hung = ALL.map(properties);
  const devices = await actions.devices(ALL, asking("command"));
  expect([devices.size, client.inFlight]).toEqual([ALL.length, 1]);
  expect(await Promise.all(hung)).toEqual(ALL.map(() => "site-class-silent"));
  expect(client.breaker.kind).toBe("closed");
  mend();
  expect(await properties(FIRST)).toBe("nothing");
});

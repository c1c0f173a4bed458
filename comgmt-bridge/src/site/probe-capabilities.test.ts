import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { asking, clientOf } from "../testing/site-under-test.ts";
import { type Behaviour, startStrictAdminService } from "../testing/strict-admin-service.ts";
import { probeCapabilities } from "./probe-capabilities.ts";

const REFUSED: Behaviour = { kind: "answer", status: 400, body: { error: { message: "No." } } };

test("what a site understands is found by asking it", async () => {
  await using service = await startStrictAdminService();
  using client = clientOf(service);
  expect(await probeCapabilities(client, 10, asking())).toEqual({
    ...{ keyName: "ResourceId", top: true, greaterThan: true, greaterOrEqual: true },
    ...{ orderBy: true, skip: false, nextLink: false, pageRows: 10 },
  });
});

test("what is refused, or ignored, is not there", async () => {
  await using service = await startStrictAdminService();
  const row = (id: number) => ({ ResourceID: id });
  service.behave = ({ path }) => {
    if (path.includes(" ge ") || path.includes("$orderby")) return REFUSED;
    const body = { value: [row(1), row(2), row(3)], "@odata.nextLink": "x" };
    return { kind: "answer", status: 200, body };
  };
  using client = clientOf(service);
  expect(await probeCapabilities(client, 10, asking())).toEqual({
    ...{ keyName: "ResourceID", top: false, greaterThan: false, greaterOrEqual: false },
    ...{ orderBy: false, skip: false, nextLink: true, pageRows: 3 },
  });
});

test("of a site without devices nothing is claimed", async () => {
  await using service = await startStrictAdminService();
  service.devices = [];
  using client = clientOf(service);
  const found = await probeCapabilities(client, 10, asking());
  expect(found).toMatchObject({ keyName: undefined, orderBy: undefined, skip: undefined });
});

test("a site that refuses $top cannot be read in bounds, and one that fails has said nothing", async () => {
  await using service = await startStrictAdminService();
  using client = clientOf(service);
  const code = () => rejectedCode(() => probeCapabilities(client, 10, asking()));
  service.behave = () => REFUSED;
  expect(await code()).toBe("site-no-top");
  service.behave = () => ({ kind: "answer", status: 403, body: "" });
  expect(await code()).toBe("site-mfa-demanded");
});

import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { until } from "@isthmus/shared/testing/until";
import { writtenLog } from "@isthmus/shared/testing/written-log";
import { expect, test } from "vitest";
import { type Guardrails, guardrails } from "../config/guardrails.ts";
import {
  connectThrough,
  echo,
  type GatewayUnderTest,
  listOf,
  openPort,
  startGateway,
  startTarget,
} from "../testing/gateway-under-test.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "../testing/test-certificates.ts";

const DEVICE = "laptop-of-ada";
const authority = await makeDeviceAuthority();
const identity = await issueTo(authority, [deviceUri(DEVICE)]);

async function logged(accessLog?: NonNullable<Guardrails["accessLog"]>) {
  const { log, lines } = writtenLog();
  const gateway = await startGateway({
    authority,
    log,
    ...(accessLog && { guardrails: { accessLog } }),
  });
  return { gateway, relayed: () => lines.filter((line) => line.includes('"relay.')) };
}

async function visit(gateway: GatewayUnderTest, destination: string): Promise<number> {
  const { socket, status } = await connectThrough(gateway, destination, { identity });
  socket.destroy();
  return status;
}

test("a host that allows pseudonyms alone has nobody named, from before the first configuration on", async () => {
  const { gateway, relayed } = await logged({ mostDetail: "pseudonymous" });
  await using _gateway = gateway;
  await using target = await startTarget(echo);
  expect(await visit(gateway, `target.test:${target.port}`)).toBe(403);
  await gateway.configure({ policies: openPort(target.port), devices: listOf(DEVICE) });
  expect(await visit(gateway, `target.test:${target.port}`)).toBe(200);
  await until(() => relayed().some((line) => line.includes("relay.closed")));
  expect(relayed()).toHaveLength(3);
  for (const line of relayed()) {
    expect(line).toMatch(/"deviceId":"[\w-]{16}"/);
    expect(line).not.toContain(DEVICE);
    expect(line).not.toContain("target.test");
  }
});

test("nobody is named before the first configuration, which may want less than the default", async () => {
  const { gateway, relayed } = await logged();
  await using _gateway = gateway;
  expect(await visit(gateway, "target.test:443")).toBe(403);
  await gateway.configure({ accessLog: { detail: "pseudonymous" } });
  expect(await visit(gateway, "target.test:443")).toBe(403);
  await gateway.configure({});
  expect(await visit(gateway, "target.test:443")).toBe(403);
  const named = relayed().map((line) => line.includes(DEVICE));
  expect(named).toEqual([false, false, true]);
});

test("a host that wants names has them written, whatever a cloud says and before it has said anything", async () => {
  const { gateway, relayed } = await logged({ leastDetail: "standard" });
  await using _gateway = gateway;
  expect(await visit(gateway, "target.test:443")).toBe(403);
  const accessLog = { detail: "pseudonymous" as const };
  expect(await rejectedCode(() => gateway.configure({ accessLog }))).toBe("guardrail-exceeded");
  await gateway.configure({});
  expect(await visit(gateway, "target.test:443")).toBe(403);
  expect(relayed().map((line) => line.includes(DEVICE))).toEqual([true, true]);
});

test("a cloud has who written and the rule that allowed it, and cannot have where to without the host", async () => {
  const { gateway, relayed } = await logged();
  await using _gateway = gateway;
  await using target = await startTarget(echo);
  const desired = { policies: openPort(target.port), devices: listOf(DEVICE) };
  const accessLog = { detail: "full" as const };
  expect(await rejectedCode(() => gateway.configure({ ...desired, accessLog }))).toBe(
    "guardrail-exceeded",
  );
  await gateway.configure(desired);
  expect(await visit(gateway, `target.test:${target.port}`)).toBe(200);
  await until(() => relayed().length === 2);
  for (const line of relayed()) {
    expect(JSON.parse(line)).toMatchObject({ deviceId: DEVICE, rule: "test/open" });
    expect(line).not.toContain("target.test");
  }
});

test("where to is written where both host and configuration say so", async () => {
  const { gateway, relayed } = await logged({ mostDetail: "full" });
  await using _gateway = gateway;
  await using target = await startTarget(echo);
  const accessLog = { detail: "full" as const };
  await gateway.configure({ policies: openPort(target.port), devices: listOf(DEVICE), accessLog });
  expect(await visit(gateway, `target.test:${target.port}`)).toBe(200);
  await until(() => relayed().length === 2);
  for (const line of relayed()) {
    expect(JSON.parse(line)).toMatchObject({ destination: `target.test:${target.port}` });
  }
});

test("a least level above the most is no guardrail", () => {
  const faults = (accessLog: object) => guardrails.safeParse({ accessLog }).error?.message ?? "";
  expect(faults({ leastDetail: "full" })).toContain("leastDetail");
  expect(faults({ leastDetail: "standard", mostDetail: "pseudonymous" })).toContain("leastDetail");
  expect(faults({ leastDetail: "full", mostDetail: "full" })).toBe("");
  expect(faults({ leastDetail: "standard" })).toBe("");
});

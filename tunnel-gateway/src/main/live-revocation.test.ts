import { writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import {
  authority,
  CUT_WITHIN_MS,
  cutAfter,
  isAlive,
  otherIdentity,
  startLive,
} from "../testing/live-gateway.ts";
import { startPublisher } from "../testing/revocation-publisher.ts";
import { deviceUri, issueTo, makeList } from "../testing/test-certificates.ts";
import type { ListedSession } from "./controls.ts";

const MINUTE_MS = 60_000;

async function openDevices(controls: ControlHandlers): Promise<string[]> {
  const listed = (await controls["sessions"]?.(null)) as { sessions: ListedSession[] };
  return listed.sessions.map(({ deviceId }) => deviceId);
}

describe("revocation", () => {
  test("by list: a revoked certificate loses its connections at the next look, others do not", async () => {
    await using publisher = await startPublisher(authority.issuing);
    publisher.published.list = await makeList(authority, { number: 1 });
    await using all = await startLive({ anchor: { crl: publisher.crl } });
    const [socket, other] = [await all.open(), await all.open(otherIdentity)];
    publisher.published.list = await makeList(authority, { number: 2, serials: ["4711"] });
    const took = await cutAfter(socket, () => all.run("revocation.refresh", {}));
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await isAlive(other)).toBe(true);
    expect(await all.refusal()).toMatchObject({
      code: "certificate-revoked",
      rule: "revocation/devices",
    });
  });

  test("by list in a file that is replaced", async () => {
    const files = { "devices.crl": await makeList(authority, { number: 1 }) };
    await using all = await startLive({ files, anchor: { crl: { file: "devices.crl" } } });
    const socket = await all.open();
    const next = await makeList(authority, { number: 2, serials: ["4711"] });
    const took = await cutAfter(socket, async () => {
      writeFileSync(`${all.gateway.folder}/devices.crl`, next);
    });
    expect(took).toBeLessThan(CUT_WITHIN_MS);
  });

  test("by OCSP: asked at connect, and again about open connections", async () => {
    await using publisher = await startPublisher(authority.issuing);
    await using all = await startLive({ anchor: { ocsp: publisher.ocsp } });
    const socket = await all.open();
    expect(publisher.asked.answers).toBe(1);
    await all.open();
    expect(publisher.asked.answers).toBe(1);
    const revokedAt = Date.now() - 1_000;
    publisher.published.statuses["4711"] = {
      status: "revoked",
      revokedAt,
      reason: "keyCompromise",
    };
    const took = await cutAfter(socket, () => all.run("revocation.refresh", {}));
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await all.refusal()).toMatchObject({ code: "certificate-revoked" });
  });

  test("by OCSP on the operator's word: a device whose good answer was still young is out, connected or not", async () => {
    await using publisher = await startPublisher(authority.issuing);
    await using all = await startLive({ anchor: { ocsp: publisher.ocsp } });
    const absentee = await issueTo(authority, [deviceUri("d2")], { serialNumber: "4712" });
    const [socket, away] = [await all.open(), await all.open(absentee)];
    away.destroy();
    const { controls } = all.gateway.gateway;
    await until(async () => isDeepStrictEqual(await openDevices(controls), ["d1"]));
    const revokedAt = Date.now() - 1_000;
    const status = { status: "revoked", revokedAt, reason: "keyCompromise" } as const;
    publisher.published.statuses = { "4711": status, "4712": status };
    const took = await cutAfter(socket, async () => {
      expect(await controls["refresh-revocation"]?.(null)).toEqual({ failures: [] });
    });
    expect(took).toBeLessThan(CUT_WITHIN_MS);
    expect(await all.refusal(absentee)).toMatchObject({ code: "certificate-revoked" });
  });

  test("says on the operator's word which source could not be asked", async () => {
    await using publisher = await startPublisher(authority.issuing);
    await using all = await startLive({ anchor: { crl: publisher.crl } });
    expect(await all.gateway.gateway.controls["refresh-revocation"]?.(null)).toEqual({
      failures: [
        { anchor: "devices", url: publisher.crl.url, message: expect.stringContaining("404") },
      ],
    });
  });

  test("by both: a responder that just failed holds up nobody whom a list can judge", async () => {
    await using publisher = await startPublisher(authority.issuing);
    publisher.published.list = await makeList(authority, { number: 1 });
    publisher.published.isResponding = false;
    await using all = await startLive({ anchor: { crl: publisher.crl, ocsp: publisher.ocsp } });
    await all.open();
    await all.open();
    expect(publisher.asked.answers).toBe(1);
    all.gateway.kernel.clock.advance(MINUTE_MS);
    publisher.published.isResponding = true;
    await all.open();
    await all.open();
    expect(publisher.asked.answers).toBe(2);
  });

  test("that cannot be learnt keeps new connections out, and says why", async () => {
    await using publisher = await startPublisher(authority.issuing);
    await using all = await startLive({ anchor: { crl: publisher.crl } });
    expect(await all.refusal()).toMatchObject({ code: "revocation-unknown" });
    const result = await all.run("revocation.refresh", {});
    expect(result).toEqual({ failures: [{ anchor: "devices", code: "revocation-unavailable" }] });
    const health = all.gateway.kernel.checks.find((check) => check.name === "revocation");
    expect(await health?.run()).toMatchObject({ status: "unhealthy" });
  });

  test("whose source is away: served with a warning up to the hard age, then refused; open ones stay", async () => {
    await using publisher = await startPublisher(authority.issuing);
    const nextUpdate = Date.now() + 100 * 24 * 60 * MINUTE_MS;
    publisher.published.list = await makeList(authority, { number: 1, nextUpdate });
    await using all = await startLive({ anchor: { crl: publisher.crl } });
    const socket = await all.open();
    publisher.published.list = "absent";
    await all.run("revocation.refresh", {});
    all.gateway.kernel.clock.advance(61 * MINUTE_MS);
    const health = all.gateway.kernel.checks.find((check) => check.name === "revocation");
    expect(await health?.run()).toMatchObject({ status: "warning" });
    await all.open();
    all.gateway.kernel.clock.advance(24 * 60 * MINUTE_MS);
    expect(await all.refusal()).toMatchObject({ code: "revocation-outdated" });
    expect(await health?.run()).toMatchObject({ status: "unhealthy" });
    expect(await isAlive(socket)).toBe(true);
  });

  test("that a source takes back with an older list stays", async () => {
    await using publisher = await startPublisher(authority.issuing);
    publisher.published.list = await makeList(authority, { number: 2, serials: ["4711"] });
    await using all = await startLive({ anchor: { crl: publisher.crl } });
    await all.run("revocation.refresh", {});
    publisher.published.list = await makeList(authority, { number: 1 });
    const result = await all.run("revocation.refresh", {});
    expect(result).toEqual({ failures: [{ anchor: "devices", code: "crl-went-back" }] });
    expect(await all.refusal()).toMatchObject({ code: "certificate-revoked" });
  });
});

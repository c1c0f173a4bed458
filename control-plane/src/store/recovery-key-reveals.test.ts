import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createRevealKeys, openSealed } from "../core/recovery-key-seal.ts";
import { ActionFixture, DEVICES, type FixtureBridge } from "../testing/action-fixture.ts";
import { REVEAL_MS } from "./site-action-upkeep.ts";

const [FIRST = ""] = DEVICES;
let site: ActionFixture;
let bridge: FixtureBridge;

beforeEach(async () => {
  site = new ActionFixture();
  bridge = await site.readingBridge();
});
afterEach(() => {
  site[Symbol.dispose]();
});

describe("a recovery key", () => {
  const keys = createRevealKeys();
  const PLAIN = "111111-222222-333333";
  const reveal = () =>
    site.request({
      kind: "site.recovery-key",
      action: "revealRecoveryKey",
      payload: {},
      revealKey: keys.publicKey,
    });
  const read = (more: object = {}) =>
    site.store.run("takeRevealedKey", {
      ...{ id: "action-1", publicKey: keys.publicKey },
      ...{ actor: "admin", now: site.clock.now(), ...more },
    });
  const wholeStore = async () => {
    const tables = await site.all("SELECT name FROM sqlite_schema WHERE type = 'table'");
    const texts = await Promise.all(
      tables.map(async ({ name }) =>
        JSON.stringify(await site.all(`SELECT * FROM ${String(name)}`)),
      ),
    );
    return texts.join("\n");
  };

  test("is read once, by who asked and has the secret, and stands in no table in plain", async () => {
    await reveal();
    expect(await rejectedCode(() => read())).toBe("recovery-key-pending");
    await site.deliver(bridge);
    await bridge.ended("command-1", { keys: [PLAIN] });
    expect(await site.action("action-1")).toMatchObject({ state: "completed" });
    expect(await wholeStore()).not.toContain(PLAIN);
    expect(await rejectedCode(() => read({ actor: "grace" }))).toBe("forbidden");
    expect(await rejectedCode(() => read({ publicKey: createRevealKeys().publicKey }))).toBe(
      "reveal-secret-invalid",
    );
    const { sealed } = await read();
    expect(openSealed(keys.secret, sealed)).toEqual({ keys: [PLAIN] });
    expect(await rejectedCode(() => read())).toBe("recovery-key-unknown");
    expect(await wholeStore()).not.toContain(sealed);
    const events = await site.all(
      "SELECT event, payload FROM audit_journal WHERE event LIKE 'recovery-key.%' ORDER BY idx",
    );
    expect(events.map(({ event }) => event)).toEqual([
      "recovery-key.requested",
      "recovery-key.read",
    ]);
    expect(JSON.stringify(events)).toContain(FIRST);
  });

  test("that nobody reads in time is thrown away", async () => {
    await reveal();
    await site.deliver(bridge);
    await bridge.ended("command-1", { keys: [PLAIN] });
    site.clock.advance(REVEAL_MS);
    await site.maintain();
    site.clock.advance(1);
    await site.maintain();
    expect(await rejectedCode(() => read())).toBe("recovery-key-unknown");
  });

  test("is not kept with a command that failed either", async () => {
    await reveal();
    await site.deliver(bridge);
    await bridge.ended("command-1", { keys: [PLAIN] }, { state: "failed" });
    expect(await wholeStore()).not.toContain(PLAIN);
  });
});

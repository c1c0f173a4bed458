import { expect, test } from "vitest";
import { z } from "zod";
import { FakeClock } from "../testing/fake-clock.ts";
import { makeStore } from "../testing/kernel-store-fixture.ts";
import { builtInGuardrails } from "./guardrails-file.ts";
import { storedLimits } from "./limits.ts";

const HOUR_MS = 3_600_000;
const guardrails = builtInGuardrails("cert-connector", z.strictObject({}), {
  allow: [],
  limits: { "session-cuts": { max: 3, perMinutes: 60 } },
});

test("a window takes what fits, at the limit, and refuses one more by name", async () => {
  await using made = await makeStore();
  const limits = storedLimits(made.store, guardrails, new FakeClock());
  await limits.consume("session-cuts", 2);
  await limits.consume("session-cuts");
  await expect(limits.consume("session-cuts")).rejects.toMatchObject({
    code: "limit-exceeded",
    rule: "guardrails.commands.limits.session-cuts",
  });
});

test("what exceeds the rest is refused whole", async () => {
  await using made = await makeStore();
  const limits = storedLimits(made.store, guardrails, new FakeClock());
  await limits.consume("session-cuts", 2);
  await expect(limits.consume("session-cuts", 2)).rejects.toMatchObject({ code: "limit-exceeded" });
  await limits.consume("session-cuts");
});

test("the window slides: a use counts for its hour, never less, and at most 1/120 more", async () => {
  await using made = await makeStore();
  const clock = new FakeClock();
  const limits = storedLimits(made.store, guardrails, clock);
  await limits.consume("session-cuts", 3);
  clock.advance(HOUR_MS - 1);
  await expect(limits.consume("session-cuts")).rejects.toMatchObject({ code: "limit-exceeded" });
  clock.advance(HOUR_MS / 120 + 1);
  await limits.consume("session-cuts", 3);
});

test("uses are kept across a restart", async () => {
  await using made = await makeStore();
  const clock = new FakeClock();
  await storedLimits(made.store, guardrails, clock).consume("session-cuts", 3);
  await made.reopen();
  const again = storedLimits(made.store, guardrails, clock);
  await expect(again.consume("session-cuts")).rejects.toMatchObject({ code: "limit-exceeded" });
});

test("setting the clock back frees nothing", async () => {
  await using made = await makeStore();
  const clock = new FakeClock();
  const limits = storedLimits(made.store, guardrails, clock);
  await limits.consume("session-cuts", 3);
  clock.advance(-5 * HOUR_MS);
  await expect(limits.consume("session-cuts")).rejects.toMatchObject({ code: "limit-exceeded" });
});

test("kinds have windows of their own", async () => {
  await using made = await makeStore();
  const limits = storedLimits(made.store, guardrails, new FakeClock());
  await limits.consume("session-cuts", 3);
  await limits.consume("certificate-revocations", 50);
});

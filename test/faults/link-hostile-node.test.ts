import { describe, expect, test } from "vitest";
import { Lab } from "./link/lab.ts";

/** A link node in the hands of an attacker who has no signer: what a welcome claims is not signed. */

const truth = { epoch: 0, lastAppliedSeq: {}, commandSeq: 0, now: 1 };
const HIGHEST = Number.MAX_SAFE_INTEGER;

describe("a welcome that claims numbers no backup explains", () => {
  test.each([
    ["epoch", { epoch: HIGHEST }],
    ["command seq", { epoch: 1, commandSeq: HIGHEST }],
    ["stream seq", { epoch: 1, lastAppliedSeq: { commands: HIGHEST } }],
  ])("%s: is refused, and commands still run afterwards", async (_what, claim) => {
    await using lab = await Lab.start();
    const told = lab.store.run("reconcileLanes", { ...truth, ...claim });
    await expect(told).rejects.toMatchObject({ code: "welcome-implausible" });
    await lab.connect();
    const id = await lab.cloud.command(lab.connectorId, "health.report");
    await expect.poll(() => lab.cloud.commandState(id), { timeout: 10_000 }).toBe("succeeded");
  });
});

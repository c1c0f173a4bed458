import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { RefusalError } from "../errors.ts";
import { publicKeyOf, signJws } from "../link/jws.ts";
import { JWS_TYPES, type SignedCommand } from "../link/messages.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { approversOf, signApproval } from "./approvals.ts";
import { Trust } from "./trust.ts";

const clock = new FakeClock();
const tenant = generateKeyPairSync("ed25519").privateKey;
const ada = generateKeyPairSync("ed25519").privateKey;
const command: SignedCommand = {
  id: "c1",
  kind: "certificate.revoke",
  seq: 1,
  aud: "connector-1",
  actor: "ada",
  issuedAt: 0,
  notBefore: 0,
  expiresAt: clock.now() + 1,
  payload: { serialNumber: "0a" },
  supersedes: [],
  approvals: [],
};
const validTrust = await signJws(
  { tenantKey: publicKeyOf(ada), notBefore: 0 },
  JWS_TYPES.trust,
  tenant,
);
const validApproval = await signApproval(command, ada);

/** A valid JWS with a few characters replaced, cut out or put in. */
function mutationsOf(jws: string) {
  const edit = fc.record({
    at: fc.nat(jws.length - 1),
    drop: fc.integer({ min: 0, max: 3 }),
    put: fc.string({ maxLength: 3 }),
  });
  return fc
    .array(edit, { minLength: 1, maxLength: 4 })
    .map((edits) =>
      edits.reduce(
        (text, { at, drop, put }) => text.slice(0, at) + put + text.slice(at + drop),
        jws,
      ),
    );
}

/** What the signature covers: two texts that decode to the same bytes are the same statement. */
function bytesOf(jws: string): string {
  return jws
    .split(".")
    .map((part) => Buffer.from(part, "base64url").toString("hex"))
    .join(".");
}

test("no text but the statement itself changes the tenant key, whatever it is", async () => {
  using folder = temporaryFolder();
  const trust = Trust.load(join(folder.path, "trust.json"), clock);
  trust.pin(publicKeyOf(tenant), "enrolment");
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), mutationsOf(validTrust)), async (jws) => {
      fc.pre(bytesOf(jws) !== bytesOf(validTrust));
      await expect(trust.rotate(jws)).rejects.toBeInstanceOf(RefusalError);
      expect(trust.list()).toHaveLength(1);
    }),
    { numRuns: fuzzRuns(1_000) },
  );
});

test("no text but the approval itself counts as one, whatever it is", async () => {
  const approvers = [{ name: "Ada", publicKey: publicKeyOf(ada) }];
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), mutationsOf(validApproval)), async (jws) => {
      fc.pre(bytesOf(jws) !== bytesOf(validApproval));
      const signed = await approversOf({ ...command, approvals: [jws] }, approvers, clock);
      expect(signed.size).toBe(0);
    }),
    { numRuns: fuzzRuns(1_000) },
  );
  const signed = await approversOf({ ...command, approvals: [validApproval] }, approvers, clock);
  expect([...signed]).toEqual(["Ada"]);
});

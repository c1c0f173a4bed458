import { ProtocolError, RefusalError } from "@isthmus/shared/errors";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import { failureRecords, MAX_RECORDS_PER_MINUTE } from "./failure-records.ts";
import type { FailureRecord } from "./ledger.ts";

function recorder() {
  const clock = new FakeClock(0);
  const recorded: FailureRecord[] = [];
  let suppressed = 0;
  const ledger = { recordFailure: async (failure: FailureRecord) => void recorded.push(failure) };
  const record = failureRecords(ledger, clock, () => {
    suppressed += 1;
  });
  const fail = (error: unknown) => record({ transactionId: "t", profileId: "device", error });
  return { clock, recorded, fail, suppressed: () => suppressed };
}

test("a refusal is recorded with its rule, a fault of ours without any detail", async () => {
  const { recorded, fail } = recorder();
  await fail(new RefusalError("guardrail", "certificates.subjects", "no"));
  await fail(new ProtocolError("scep-message", "one signer"));
  await fail(new Error("password hunter2"));
  expect(recorded.map(({ code, rule, message }) => [code, rule, message])).toEqual([
    ["guardrail", "certificates.subjects", "no"],
    ["scep-message", undefined, "one signer"],
    ["internal", undefined, "internal error; see the log"],
  ]);
});

test("a flood fills neither disk nor stream: so many a minute, the rest is counted", async () => {
  const { clock, recorded, fail, suppressed } = recorder();
  const error = new ProtocolError("scep-message", "x");
  for (let n = 0; n < MAX_RECORDS_PER_MINUTE + 5; n += 1) await fail(error);
  expect(recorded).toHaveLength(MAX_RECORDS_PER_MINUTE);
  expect(suppressed()).toBe(5);
  clock.advance(60_000);
  await fail(error);
  expect(recorded).toHaveLength(MAX_RECORDS_PER_MINUTE + 1);
});

import { ConnectorError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { intuneRefusal } from "./refusals.ts";
import { RevocationRequests } from "./revocation-requests.ts";
import { ScepValidation } from "./scep-validation.ts";

/** Any JSON, and JSON that looks like an answer of Intune's. */
const answers = fc.oneof(
  fc.jsonValue(),
  fc.record(
    {
      code: fc.oneof(fc.string(), fc.constant("Success"), fc.jsonValue()),
      errorDescription: fc.jsonValue(),
      value: fc.oneof(
        fc.jsonValue(),
        fc.array(
          fc.record(
            {
              requestContext: fc.oneof(fc.string(), fc.jsonValue()),
              serialNumber: fc.oneof(fc.string(), fc.jsonValue()),
              issuerName: fc.oneof(fc.string(), fc.jsonValue()),
            },
            { requiredKeys: [] },
          ),
        ),
      ),
    },
    { requiredKeys: [] },
  ),
);

/** What a call comes to: a value, or the error's code. */
async function outcome(act: () => Promise<unknown>): Promise<unknown> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof ConnectorError) return error;
    throw error;
  }
}

test("whatever Intune answers, it is understood or refused with a code", async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (value) => {
      const client = { name: "contoso", post: async () => value };
      const validation = new ScepValidation(client, "test");
      const request = { transactionId: "t", certificateRequest: "MII=" };
      const code = await outcome(() => validation.validate(request));
      if (typeof code === "string") expect(intuneRefusal(code).code).toMatch(/^intune-[a-z-]+$/);
      else expect(code).toBeInstanceOf(ConnectorError);
      const requests = new RevocationRequests(client);
      const of = { maxRequests: 1, issuerName: undefined };
      const page = await outcome(() => requests.download(of));
      expect(Array.isArray(page) || page instanceof ConnectorError).toBe(true);
      await outcome(() => requests.upload([]));
    }),
    { numRuns: fuzzRuns(500) },
  );
});

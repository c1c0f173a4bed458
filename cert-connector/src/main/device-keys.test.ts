import { expect, test } from "vitest";
import { deviceKeys } from "./device-keys.ts";

const bits = { "rsa-2048": 2_048, "rsa-3072": 3_072 } as const;

test.each(["rsa-2048", "rsa-3072"] as const)(
  "makes a key of type %s off this thread",
  async (type) => {
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 1);
    const key = await deviceKeys()(type);
    clearInterval(counting);
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(bits[type]);
    // A key made on this thread would have let no timer through.
    expect(turns).toBeGreaterThan(0);
  },
);

test("two are made at once, as many wait as may, and one more is told to come again", async () => {
  const make = deviceKeys(1);
  const three = [make("rsa-2048"), make("rsa-2048"), make("rsa-2048")];
  await expect(make("rsa-2048")).rejects.toMatchObject({ code: "keys-busy", isRetryable: true });
  expect(
    new Set((await Promise.all(three)).map((key) => key.export({ format: "jwk" }).n)).size,
  ).toBe(3);
  await make("rsa-2048");
});

test("one that is cancelled gives its place to the next", async () => {
  const make = deviceKeys(1);
  const cancelled = AbortSignal.abort(new Error("cancelled"));
  for (let round = 0; round < 3; round += 1) {
    await expect(make("rsa-2048", cancelled)).rejects.toThrow("cancelled");
  }
  await make("rsa-2048");
});

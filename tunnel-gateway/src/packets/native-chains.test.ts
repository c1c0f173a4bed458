import { describe, expect, test } from "vitest";
import {
  deviceAuthority,
  serverIdentity,
  startEngine,
  whyNoEngine,
} from "../testing/engine-under-test.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "../testing/test-certificates.ts";

const device = await issueTo(deviceAuthority, [deviceUri("d1")]);
const chain = { cert: device.certificate + deviceAuthority.pem, key: device.key };

/** What is said of a client's chain the first, the second and the third time. */
async function verdicts(front: Awaited<ReturnType<typeof startEngine>>, shown: object) {
  const said: boolean[] = [];
  for (let time = 0; time < 3; time++) {
    const { connection } = await front.open(shown);
    said.push(connection.verification.isVerified);
  }
  return said;
}

describe.skipIf(whyNoEngine !== undefined)("a chain that a client shows again", () => {
  test("is verified again", async () => {
    await using front = await startEngine();
    expect(await verdicts(front, chain)).toEqual([true, true, true]);
  });

  test("is refused again, beside a good one with the same names", async () => {
    await using front = await startEngine();
    const others = await makeDeviceAuthority();
    const stranger = await issueTo(others, [deviceUri("d1")]);
    const shown = { cert: stranger.certificate + others.pem, key: stranger.key };
    expect(await verdicts(front, chain)).toEqual([true, true, true]);
    expect(await verdicts(front, shown)).toEqual([false, false, false]);
  });

  test("does not count under other trust anchors", async () => {
    await using front = await startEngine();
    const others = await makeDeviceAuthority("Others");
    expect(await verdicts(front, chain)).toEqual([true, true, true]);
    front.engine.setIdentity({ ...serverIdentity, authorities: [others.pem] });
    expect(await verdicts(front, chain)).toEqual([false, false, false]);
    front.engine.setIdentity({ ...serverIdentity, authorities: [deviceAuthority.pem] });
    expect(await verdicts(front, chain)).toEqual([true, true, true]);
  });
});

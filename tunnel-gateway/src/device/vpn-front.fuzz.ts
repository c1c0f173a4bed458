import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import { engineConnection, FakeVpnConnections } from "../testing/fake-vpn-connections.ts";
import { FakeVpnService } from "../testing/fake-vpn-service.ts";
import {
  anyconnectInit,
  anyconnectTunnel,
  oldForm,
  openconnectReply,
  openconnectTunnel,
} from "../testing/vpn-requests.ts";
import { VpnFront } from "./vpn-front.ts";

const opaque = '<opaque is-for="sg"><aggauth-handle>a</aggauth-handle></opaque>';
const VALID = [
  anyconnectInit("/staff"),
  openconnectReply(opaque, "<username>alice</username><password>a</password>"),
  oldForm("username=alice&password=a", "webvpncontext=a"),
  openconnectTunnel(),
  anyconnectTunnel(),
];
const site = {
  certificate: Buffer.from("server"),
  issuer: undefined,
  certificateHash: "aa",
  profile: undefined,
};

test("hostile connections get well-formed answers, a tunnel, or nothing, and never a fault of ours", async () => {
  const statuses = new Set<string>();
  await fc.assert(
    fc.asyncProperty(hostileBytes(VALID), fc.nat(2_000), async (bytes, split) => {
      const engine = new FakeVpnConnections();
      const faults: unknown[] = [];
      using front = new VpnFront({
        engine,
        service: new FakeVpnService(),
        site: () => site,
        udpPort: () => 443,
        requestTimeoutMs: 1_000,
        limits: { pending: 10, pendingPerAddress: 10 },
        onRelay: ({ reset }) => reset(),
        onMalformed: () => {},
        onFault: (error) => void faults.push(error),
      });
      front.opened(engineConnection());
      front.bytes(1, bytes.subarray(0, split));
      front.bytes(1, bytes.subarray(split));
      await new Promise(setImmediate);
      front.sweep(performance.now() + 10_000);
      const answer = engine.written.get(1)?.toString("latin1") ?? "";
      if (answer !== "") expect(answer).toMatch(/^HTTP\/1\.1 \d{3} [A-Za-z ]+\r\n/);
      for (const { head } of engine.attached) expect(head).toMatch(/^HTTP\/1\.1 200 CONNECTED\r\n/);
      statuses.add(answer.slice(9, 12));
      expect(faults).toEqual([]);
    }),
    { numRuns: fuzzRuns(3_000) },
  );
  expect([...statuses]).toEqual(expect.arrayContaining(["", "200", "400", "408"]));
});

import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { parseAddress } from "../core/ip-address.ts";
import type { RelayedConnection } from "../core/ports.ts";
import type { Refusal } from "../core/refusal.ts";
import { RelaySessions } from "../core/relay-sessions.ts";
import { relayMetrics } from "./relay-metrics.ts";
import { relayObserver } from "./relay-observer.ts";

function cutFor(refusal: Refusal) {
  const told: object[] = [];
  const write = (fields: object) => void told.push(fields);
  const sessions = new RelaySessions(new FakeClock(), { began: () => {}, ended: () => {} });
  const metrics = relayMetrics(new Registry(), { open: () => 0, pending: () => 0 });
  const log = { info: write, warn: write, error: write };
  const destination = { name: undefined, address: parseAddress("10.1.2.3"), port: 443 };
  const connection = { id: "c1", deviceId: "laptop-9", rule: "office/web", destination };
  const relayed = { ...connection, bytesUp: 1, bytesDown: 2, openedAt: 3 };
  relayObserver({ log, metrics, sessions }).closed(
    relayed as unknown as RelayedConnection,
    "cut",
    refusal,
  );
  return told;
}

test("a connection that is cut for where it goes is logged with the rule, and the place in a field of its own", () => {
  const message = "the gateway never connects to 10.1.2.3 port 443";
  const rule = "egress/own-address";
  expect(cutFor({ code: "egress-forbidden", rule, message })).toEqual([
    expect.objectContaining({
      cut: { code: "egress-forbidden", by: rule },
      destination: "10.1.2.3:443",
    }),
  ]);
});

test("one that is cut for who it is has the words that say so", () => {
  const refusal = { code: "device-unknown", rule: "gate/known-device", message: "it is not known" };
  const { rule: by, ...words } = refusal;
  expect(cutFor(refusal as Refusal)).toMatchObject([{ cut: { ...words, by } }]);
});

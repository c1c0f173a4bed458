import type { Lease, LeaseWanted } from "@isthmus/shared/link/inventory-messages";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { LeaseClient } from "./lease-client.ts";

const SOURCE = { source: "CM1", sourceType: "configmgr" } as const;
const HELD: Lease = {
  ...{ type: "lease", source: "CM1", isHeld: true, lease: 3, revision: 9, validMs: 60_000 },
};

function client(isHeard: () => boolean = () => true) {
  const [told, happened]: [LeaseWanted[], unknown[]] = [[], []];
  const leases = new LeaseClient({
    source: SOURCE,
    tell: (message) => {
      told.push(message);
      return isHeard();
    },
    onHeld: ({ lease }) => happened.push(lease),
    onLost: (why) => happened.push(why),
  });
  return { leases, told, happened };
}

test("it asks at once, and takes what it is given", () => {
  const { leases, told, happened } = client();
  using _leases = leases;
  expect(told).toEqual([{ type: "lease-wanted", ...SOURCE, lease: 0, isGivenUp: false }]);
  leases.take(HELD);
  expect([leases.state, happened]).toEqual([{ kind: "held", lease: 3 }, [3]]);
});

test("what nobody heard is asked again soon", async () => {
  let attempts = 0;
  const { leases, told } = client(() => {
    attempts += 1;
    return attempts > 1;
  });
  using _leases = leases;
  await until(() => told.length === 2);
});

test("a lease that another bridge has, and one that runs out, is lost", async () => {
  const { leases, happened } = client();
  using _leases = leases;
  leases.take(HELD);
  leases.take({ ...HELD, isHeld: false, holder: "bridge two" });
  expect(leases.state).toEqual({ kind: "elsewhere", holder: "bridge two" });
  leases.take({ ...HELD, lease: 5, validMs: 20 });
  await until(() => leases.state.kind === "none");
  expect(happened).toEqual([3, "elsewhere", 5, "expired"]);
});

test("it gives up what it holds when it ends, and nothing else", () => {
  const held = client();
  held.leases.take(HELD);
  held.leases[Symbol.dispose]();
  expect(held.told.at(-1)).toMatchObject({ lease: 3, isGivenUp: true });
  const none = client();
  none.leases[Symbol.dispose]();
  expect(none.told).toHaveLength(1);
});

import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Device } from "../core/device.ts";
import { deviceUri, issueTo } from "../testing/test-certificates.ts";
import {
  authority,
  derOf,
  deviceGroup,
  loginRequest,
  SIGNAL,
  startVpn,
  tunnelRequest,
  type VpnUnderTest,
} from "../testing/vpn-under-test.ts";

const DEVICES = 6;
const ids = Array.from({ length: DEVICES }, (_, index) => `d${index}`);
const certificates = await Promise.all(
  ids.map(async (id) => derOf(await issueTo(authority, [deviceUri(id)]))),
);
const devices = ids.map((deviceId): Device => {
  const known = { deviceId, groups: [], compliance: "compliant", removed: false } as const;
  return { ...known, userPrincipalName: `${deviceId}@example.com` };
});
/** 2 addresses of pool a, 3 of pool b, 24 of none; slots 0, 1 and 31 are nobody's. */
const local = {
  network: "10.98.0.0/27",
  tunnels: { count: 1 },
  pools: [
    { name: "a", networks: ["10.98.0.8/31"] },
    { name: "b", networks: ["10.98.0.28/30"] },
  ],
};
const SLOTS: Readonly<Record<string, (slot: number) => boolean>> = {
  a: (slot) => slot === 8 || slot === 9,
  b: (slot) => slot >= 28 && slot < 31,
};
const isInPool = (slot: number, pool: string | undefined) =>
  pool === undefined
    ? slot >= 2 && slot < 31 && Object.values(SLOTS).every((has) => !has(slot))
    : SLOTS[pool]?.(slot) === true;

const device = fc.nat(DEVICES - 1);
const group = fc.constantFrom("one", "two");
const pool = fc.constantFrom("a", "b", undefined);
const act = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("login"), device, group }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("connect"), device }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("logout"), device }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pools"), one: pool, two: pool }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("kill") }) },
);
type Act = typeof act extends fc.Arbitrary<infer Value> ? Value : never;
type Pools = Readonly<Record<string, string | undefined>>;

/** A gateway with its clients' cookies. */
class World {
  all: VpnUnderTest;
  pools: Pools = { one: "a", two: undefined };
  connected = 0;
  readonly cookies = new Map<number, { readonly cookie: string; readonly group: string }>();

  constructor(all: VpnUnderTest) {
    this.all = all;
  }

  configure(): void {
    const groups = Object.entries(this.pools).map(([name, of]) =>
      deviceGroup({ name, ...(of === undefined ? {} : { pool: of }) }),
    );
    this.all.configure({ vpn: { groups } });
  }

  async act(one: Act): Promise<void> {
    if (one.kind === "login") await this.#logIn(one.device, one.group);
    else if (one.kind === "connect") await this.#connect(this.#someone(one.device));
    else if (one.kind === "logout") await this.#logOut(this.#someone(one.device));
    else if (one.kind === "pools") {
      this.pools = { one: one.one, two: one.two };
      this.configure();
    } else {
      this.all = await this.all.restart();
      this.configure();
    }
  }

  /** No two tunnels have one address. */
  check(): void {
    const slots = [...this.all.engine.open.values()].map(({ slot }) => slot);
    expect(new Set(slots).size).toBe(slots.length);
  }

  async #logIn(index: number, name: string): Promise<void> {
    const connection = this.all.engine.connection([certificates[index] ?? Buffer.alloc(0)]);
    const answer = await this.all.vpn.login.begin(
      loginRequest(connection, { group: name }),
      SIGNAL,
    );
    expect(answer.kind).toBe("accepted");
    if (answer.kind !== "accepted") return;
    this.cookies.set(index, { cookie: answer.cookie, group: name });
  }

  async #connect(index: number): Promise<void> {
    const connection = this.all.engine.connection([]);
    const request = tunnelRequest(connection, this.#cookieOf(index));
    const answer = await this.all.vpn.connect(request, SIGNAL);
    if (answer.kind === "refused") {
      expect(["session-unknown", "address-exhausted"]).toContain(answer.refusal.code);
      return;
    }
    this.all.engine.attach(connection.id, answer.tunnel.sessionId, Buffer.from(""), undefined);
    this.connected += 1;
    const slot = Number(answer.tunnel.ipv4?.address.split(".")[3]);
    expect(isInPool(slot, this.pools[this.cookies.get(index)?.group ?? ""])).toBe(true);
  }

  async #logOut(index: number): Promise<void> {
    await this.all.vpn.logout(this.#cookieOf(index));
    this.cookies.delete(index);
  }

  /** Of those who have logged in, where there are any. */
  #someone(index: number): number {
    const all = [...this.cookies.keys()];
    return all[index % all.length] ?? index;
  }

  #cookieOf(index: number): string {
    return this.cookies.get(index)?.cookie ?? "none";
  }
}

test("whatever becomes of pools, sessions and the process, an address is one client's and of its group's pool", async () => {
  let connected = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 20, maxLength: 40 }), async (acts) => {
      const world = new World(await startVpn({ local, devices }));
      world.configure();
      try {
        for (const one of acts) {
          await world.act(one);
          world.check();
        }
        connected += world.connected;
      } finally {
        await world.all[Symbol.asyncDispose]();
      }
    }),
    { numRuns: fuzzRuns(15) },
  );
  expect(connected).toBeGreaterThan(0);
});

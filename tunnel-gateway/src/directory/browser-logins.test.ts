import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import { BrowserLogins, MAX_LOGINS, MAX_LOGINS_PER_ADDRESS, MAX_VISITS } from "./browser-logins.ts";

function logins() {
  const clock = new FakeClock();
  const all = new BrowserLogins(() => clock.now());
  const begin = (address = "192.0.2.1") =>
    all.begin({ baseUrl: "https://vpn.example/auth/oidc", address, browserKey: undefined });
  return { clock, all, begin };
}

const ANY = () => true;

test("an address beyond its share loses its oldest login, and nobody else's goes", () => {
  const { all, begin } = logins();
  const other = begin("192.0.2.2");
  const first = begin();
  for (let count = 1; count < MAX_LOGINS_PER_ADDRESS; count += 1) begin();
  expect(all.find(first.id)).toBe(first);
  begin();
  expect(all.find(first.id)).toBeUndefined();
  expect(all.find(other.id)).toBe(other);
});

test("a few addresses that fill the table keep nobody out, nor a network of IPv6 that is one customer's", () => {
  const { all, begin } = logins();
  const modest = begin("192.0.2.2");
  for (let count = 1; count < MAX_LOGINS; count += 1) begin(`2001:db8:0:${count % 5}::${count}`);
  expect(all.size).toBe(MAX_LOGINS);
  const late = begin("192.0.2.3");
  expect(all.size).toBe(MAX_LOGINS);
  expect(all.find(modest.id)).toBe(modest);
  expect(all.find(late.id)).toBe(late);
  expect(late.address).toBe("192.0.2.3");
  expect(begin("2001:db8:0:1::1").address).toBe("2001:db8:0:1::/64");
});

test("a visit is taken once, by its own browser, and the next one ends it", () => {
  const { all, begin } = logins();
  const login = begin();
  const first = all.visit(login);
  const second = all.visit(login);
  expect(all.takeVisit(first?.state ?? "", ANY)).toBeUndefined();
  expect(all.takeVisit(second?.state ?? "", () => false)).toBeUndefined();
  expect(all.takeVisit(second?.state ?? "", ANY)).toEqual({ login, visit: second });
  expect(all.takeVisit(second?.state ?? "", ANY)).toBeUndefined();
  expect(all.takeVisit("", ANY)).toBeUndefined();
});

test("a login is visited up to its limit, not once somebody has signed in, and not when it has ended", () => {
  const { all, begin, clock } = logins();
  const [often, done, late] = [begin(), begin(), begin()];
  if (!often || !done || !late) throw new Error("no login");
  for (let visit = 0; visit < MAX_VISITS; visit += 1) expect(all.visit(often)).toBeDefined();
  expect(all.visit(often)).toBeUndefined();
  done.result = { token: "T", user: { userName: "alice", groups: [] } };
  expect(all.visit(done)).toBeUndefined();
  const visit = all.visit(late);
  clock.advance(300_000);
  expect(all.takeVisit(visit?.state ?? "", ANY)).toBeUndefined();
  expect(all.find(late.id)).toBeUndefined();
  all.end(late);
  expect(all.size).toBe(2);
});

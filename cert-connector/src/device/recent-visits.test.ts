import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import { RecentVisits } from "./recent-visits.ts";

test("remembers each of both for ten minutes, by address", () => {
  const clock = new FakeClock(1_000_000);
  const visits = new RecentVisits(clock);
  visits.note("192.0.2.1", "capabilitiesAt");
  clock.advance(1_000);
  visits.note("192.0.2.1", "certificatesAt");
  expect(visits.before("192.0.2.1")).toEqual({
    capabilitiesAt: 1_000_000,
    certificatesAt: 1_001_000,
  });
  expect(visits.before("192.0.2.2")).toEqual({});
  clock.advance(599_500);
  expect(visits.before("192.0.2.1")).toEqual({ certificatesAt: 1_001_000 });
});

test("forgets whoever was longest away, at the limit and not before", () => {
  const visits = new RecentVisits(new FakeClock(5));
  for (let n = 0; n < 4_096; n += 1) visits.note(`10.0.0.${n}`, "capabilitiesAt");
  visits.note("10.0.0.0", "certificatesAt");
  expect(visits.before("10.0.0.1")).toEqual({ capabilitiesAt: 5 });
  visits.note("one more", "capabilitiesAt");
  expect(visits.before("10.0.0.1")).toEqual({});
  expect(visits.before("10.0.0.0")).toEqual({ capabilitiesAt: 5, certificatesAt: 5 });
});

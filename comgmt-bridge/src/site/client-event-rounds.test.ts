import { ConnectorError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import type { ClientEventSink, EventsOfDevice } from "../core/client-events.ts";
import { rememberingSink } from "../testing/remembering-sink.ts";
import { ClientEventRounds } from "./client-event-rounds.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SCANNED = JSON.stringify({ endedAt: 1, wholeEndedAt: 1, parts: {}, records: {} });

/** Rounds over devices 1 to `devices` in which time passes only by waiting; they end at `untilMs`. */
async function roundsOver(
  devices: number,
  untilMs: number,
  of: {
    readonly answer?: (key: number) => string;
    readonly history?: string;
    readonly onPause?: (rounds: ClientEventRounds, elapsedMs: number, clock: FakeClock) => void;
    readonly perHour?: number;
    readonly onReady?: (elapsedMs: number) => void;
    /** Told how many were asked for by then. */
    readonly onApply?: (asked: number) => void;
  } = {},
) {
  const clock = new FakeClock(10 * DAY_MS);
  const beganAt = clock.now();
  const asked: { readonly key: number; readonly atMs: number }[] = [];
  const applied: EventsOfDevice[] = [];
  const notes: string[] = [];
  const faults: string[] = [];
  const readAt = new Map<number, number>();
  const isDue = (key: number, before: number) =>
    key >= 1 && key <= devices && (readAt.get(key) ?? 0) < before;
  const clientEvents: ClientEventSink = {
    due: async (keys, before) => keys.filter((key) => isDue(key, before)),
    async sweep(after, before) {
      const keys = Array.from({ length: devices }, (_, n) => n + 1);
      const some = keys.filter((key) => key > after).slice(0, 10);
      const through = some.length < 10 ? undefined : some.at(-1);
      return { keys: some.filter((key) => isDue(key, before)), through };
    },
    async apply(read) {
      of.onApply?.(asked.length);
      applied.push(read);
      readAt.set(read.key, clock.now());
    },
    note: async (event) => void notes.push(event),
  };
  const ending = new AbortController();
  const client = {
    async ask(path: string) {
      const key = Number(/\d+(?=\)\/Events$)/.exec(path)?.[0]);
      asked.push({ key, atMs: clock.now() - beganAt });
      return Buffer.from(of.answer?.(key) ?? '{"value":[]}');
    },
  };
  const rounds = new ClientEventRounds({
    client,
    parts: {
      ...{ clock, random: systemRandom },
      async pause(ms) {
        clock.advance(ms);
        if (clock.now() - beganAt >= untilMs) ending.abort(new Error("enough"));
        ending.signal.throwIfAborted();
        of.onPause?.(rounds, clock.now() - beganAt, clock);
      },
    },
    observer: { requests: () => {}, fault: (code) => void faults.push(code) },
    perHour: of.perHour ?? 360,
  });
  const sink = {
    ...rememberingSink(),
    clientEvents,
    ready: async (signal: AbortSignal) => {
      signal.throwIfAborted();
      of.onReady?.(clock.now() - beganAt);
    },
  };
  sink.cursors.set("scans", of.history ?? SCANNED);
  await expect(rounds.run(sink, ending.signal)).rejects.toThrow("enough");
  return { rounds, asked, applied, notes, faults, clientEvents };
}

test("a device is read once, and again after a week where it was not heard of", async () => {
  const { asked } = await roundsOver(25, 8 * DAY_MS);
  const times = (key: number) => asked.filter((each) => each.key === key).map(({ atMs }) => atMs);
  for (let key = 1; key <= 25; key += 1) {
    const [first = Number.NaN, second = Number.NaN, ...more] = times(key);
    expect(first).toBeLessThan(HOUR_MS);
    expect(second - first).toBeGreaterThanOrEqual(7 * DAY_MS);
    expect(second - first).toBeLessThan(7 * DAY_MS + 3 * HOUR_MS);
    expect(more).toEqual([]);
  }
});

test("a device that is heard of all the time is read once a day", async () => {
  const onPause = (rounds: ClientEventRounds) => rounds.noteActive([3, 99]);
  const { asked } = await roundsOver(5, 3 * DAY_MS, { onPause });
  const times = asked.filter(({ key }) => key === 3).map(({ atMs }) => Math.floor(atMs / DAY_MS));
  expect(times).toEqual([0, 1, 2]);
  expect(asked.some(({ key }) => key === 99)).toBe(false);
});

test("where nobody was heard of and all were looked up, the store is asked for nothing until the next walk", async () => {
  const looked: number[] = [];
  await roundsOver(5, 3 * HOUR_MS - 60_000, { onReady: (atMs) => looked.push(atMs) });
  const walks = new Set(looked.map((atMs) => Math.floor(atMs / HOUR_MS)));
  expect(walks).toEqual(new Set([0, 1, 2]));
  expect(looked.length).toBeLessThan(12);
});

test("so many are read in an hour and no more", async () => {
  const { asked } = await roundsOver(2_000, 2 * HOUR_MS);
  expect(asked.length).toBeGreaterThan(700);
  expect(asked.length).toBeLessThanOrEqual(721);
});

test.each([
  [1, 1],
  [200, 1],
  [3_600, 20],
  [36_000, 50],
])(
  "at %i an hour %i are read one behind the other, and the pace stays",
  async (perHour, atOnce) => {
    const { asked, applied } = await roundsOver(2_000, HOUR_MS / 10, { perHour });
    const [first] = asked;
    const group = asked.filter(({ atMs }) => atMs === first?.atMs);
    // Ten at a time are looked up here.
    expect(group).toHaveLength(Math.min(atOnce, 10));
    expect(asked.length).toBeLessThanOrEqual(
      Math.ceil(Math.min(perHour / 10, 2_000)) + group.length,
    );
    expect(applied.map(({ key }) => key)).toEqual(asked.map(({ key }) => key));
  },
);

test("more events than are held at once are put into the store before more are read", async () => {
  const rows = Array.from({ length: 2_000 }, (_, n) => ({
    EventTime: "2026-03-01T00:00:00Z",
    EventID: n,
  }));
  const open: number[] = [];
  const { applied } = await roundsOver(10, HOUR_MS / 10, {
    perHour: 36_000,
    answer: () => JSON.stringify({ value: rows }),
    onApply: (asked) => open.push(asked),
  });
  expect(applied).toHaveLength(10);
  expect(open).toEqual([3, 3, 3, 6, 6, 6, 9, 9, 9, 10]);
});

test("nothing is read before the inventory was read whole for the first time", async () => {
  const { asked } = await roundsOver(5, DAY_MS, { history: "" });
  expect(asked).toEqual([]);
});

test("a site that refuses three devices one behind the other is left alone for a day, and one refusal is passed over", async () => {
  const refuse = (): never => {
    throw new ConnectorError("site-not-found", "404");
  };
  const all = await roundsOver(50, 2.5 * DAY_MS, { answer: refuse });
  expect(all.asked).toHaveLength(9);
  expect(all.notes).toEqual(Array.from({ length: 3 }, () => "client-events.left-alone"));
  expect(all.faults).toEqual([]);
  const one = await roundsOver(50, HOUR_MS, {
    answer: (key) => (key % 2 === 0 ? refuse() : '{"value":[]}'),
  });
  expect(one.notes).toEqual([]);
  expect(one.applied).toHaveLength(25);
});

test("of more events than are told of a device the newest are, and it is said", async () => {
  const rows = Array.from({ length: 2_001 }, (_, n) => ({
    EventTime: `2026-03-01T00:${String(Math.floor(n / 60)).padStart(2, "0")}:${String(n % 60).padStart(2, "0")}Z`,
    EventID: n,
  }));
  const { applied, notes } = await roundsOver(1, HOUR_MS, {
    answer: () => JSON.stringify({ value: rows }),
  });
  expect(applied[0]?.events).toHaveLength(2_000);
  expect(applied[0]?.events[0]?.eventId).toBe(1);
  expect(notes).toEqual(["client-events.cut"]);
});

test("whoever asks for many devices has the first fifty at once, and a fault ends only that", async () => {
  const { rounds, asked, clientEvents, faults } = await roundsOver(0, 1);
  const { signal } = new AbortController();
  await rounds.readNow(
    Array.from({ length: 60 }, (_, n) => n + 1),
    clientEvents,
    signal,
  );
  expect(asked.map(({ key }) => key)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
  expect(faults).toEqual([]);
});

test("a device whose events never come is passed over, and those of the others are read", async () => {
  const answer = (key: number) => {
    if (key !== 3) return '{"value":[]}';
    throw new ConnectorError("site-timeout", "nothing came", { isRetryable: true });
  };
  const { asked, applied, notes } = await roundsOver(6, HOUR_MS, { answer });
  expect(applied.map(({ key }) => key)).toEqual([1, 2, 4, 5, 6]);
  expect(asked.filter(({ key }) => key === 3).length).toBeLessThanOrEqual(4);
  expect(notes).toEqual([]);
});

test.each([true, false])(
  "a clock that is put back keeps nothing waiting for it (events refused: %s)",
  async (isRefused) => {
    const answer = () => {
      if (isRefused) throw new ConnectorError("site-not-found", "404");
      return '{"value":[]}';
    };
    let isBack = false;
    let looksAfter = 0;
    const onReady = () => {
      if (isBack) looksAfter += 1;
    };
    const onPause = (_rounds: ClientEventRounds, elapsedMs: number, clock: FakeClock) => {
      if (isBack && elapsedMs > -8 * DAY_MS) throw new Error("enough");
      if (isBack || elapsedMs < 600_000) return;
      isBack = true;
      clock.advance(-9 * DAY_MS);
    };
    await roundsOver(4, 2 * DAY_MS, { answer, onReady, onPause });
    expect(looksAfter).toBeGreaterThan(0);
  },
);

test("events that hang for every device are left alone for an hour after three devices", async () => {
  const answer = () => {
    throw new ConnectorError("site-class-silent", "it hangs", { isRetryable: true });
  };
  const { asked, notes } = await roundsOver(6, HOUR_MS + 600_000, { answer });
  expect(notes).toEqual(["client-events.left-alone", "client-events.left-alone"]);
  const [, , , fourth] = asked;
  expect([asked.length, (fourth?.atMs ?? 0) >= HOUR_MS]).toEqual([6, true]);
});

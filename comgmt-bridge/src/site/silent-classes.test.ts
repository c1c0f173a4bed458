import { ConnectorError } from "@isthmus/shared/errors";
import { beforeEach, expect, test } from "vitest";
import type { ClassName } from "../protocol/admin-service/path.ts";
import type { Asking, RawPage } from "./admin-service-client.ts";
import { SilentClasses } from "./silent-classes.ts";

/** A site of which each request ends when the test says so. */

interface Sent {
  readonly name: string;
  readonly asking: Asking;
  answer(): void;
  fail(code?: string): void;
}

const PAGE = {} as RawPage;
const late = new ConnectorError("site-timeout", "late", { isRetryable: true });
const hung = { route: "wmi", name: "HUNG" } as const;
const fine = { route: "wmi", name: "FINE" } as const;

let sent: Sent[];
let told: (readonly [string, string | undefined])[];
let classes: SilentClasses;

beforeEach(() => {
  sent = [];
  told = [];
  const page = (of: { readonly name: string }, _query: unknown, asking: Asking) => {
    const end = Promise.withResolvers<RawPage>();
    asking.signal.addEventListener("abort", () => end.reject(asking.signal.reason));
    sent.push({
      ...{ name: of.name, asking, answer: () => end.resolve(PAGE) },
      fail: (code = "site-timeout") =>
        end.reject(new ConnectorError(code, "late", { isRetryable: true })),
    });
    return end.promise;
  };
  const one = (of: { readonly name: string }, key: unknown, asking: Asking) =>
    page({ name: `${of.name}(${key})` }, undefined, asking) as Promise<never>;
  const calls = (path: string, asking: Asking) =>
    page({ name: path }, undefined, asking) as Promise<never>;
  classes = new SilentClasses({ page, one, ask: calls }, (name, fault) =>
    told.push([name, fault?.code]),
  );
});

const forever = new AbortController().signal;
/** The code of what a request ends with, or "page". */
const ask = (of: ClassName = hung, signal: AbortSignal = forever) =>
  classes.page(of, { top: 1 }, { lane: "snapshot", signal }).then(
    () => "page",
    (error: { readonly code?: string; readonly message: string }) => error.code ?? error.message,
  );
/** What waits for other promises has gone on. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const last = () => sent.at(-1) as Sent;
async function answerOf(of: ClassName) {
  const asked = ask(of);
  await settled();
  last().answer();
  return await asked;
}
/** One request that nobody answers, and then one of another class that is. */
async function letPass() {
  const asked = ask();
  await settled();
  const request = last();
  await answerOf(fine);
  request.fail();
  return await asked;
}

test("a class that alone lets two requests pass is silent, and said to answer once it does", async () => {
  expect(await letPass()).toBe("site-timeout");
  expect(told).toEqual([]);
  expect(await letPass()).toBe("site-class-silent");
  expect(await letPass()).toBe("site-class-silent");
  expect(await answerOf(hung)).toBe("page");
  expect(told).toEqual([
    ["HUNG", "site-class-silent"],
    ["HUNG", "site-class-silent"],
    ["HUNG", undefined],
  ]);
  expect(await letPass()).toBe("site-timeout");
});

/** One request that nobody answers, nor the one that finds out whether another class is. */
async function away(of: typeof hung | typeof fine) {
  const asked = ask(of);
  await settled();
  last().fail();
  await settled();
  const witness = last();
  expect(witness.name).not.toBe(of.name);
  witness.fail();
  return await asked;
}

/** A request for the events of a device, of which nothing comes, and then one row of a class. */
async function letEventsPass(device: number, code: string) {
  const asking = { lane: "snapshot", signal: forever, asked: "rows" } as const;
  const asked = classes.ask(`v1.0/Device(${device})/Events?x=1`, asking).then(
    () => "events",
    (error: { readonly code?: string }) => error.code,
  );
  await settled();
  const request = last();
  await answerOf(fine);
  request.fail(code);
  return await asked;
}

test("a call is a class of its own, whichever object it is of, and is named so", async () => {
  expect(await letEventsPass(1, "site-timeout")).toBe("site-timeout");
  expect(await letEventsPass(2, "site-timeout")).toBe("site-class-silent");
  expect(told).toEqual([["v1.0/Device()/Events", "site-class-silent"]]);
  expect(await answerOf(hung)).toBe("page");
  const script = classes.one({ route: "wmi", name: "HUNG" }, "A)b", {
    ...{ lane: "command", signal: forever },
  });
  await settled();
  last().answer();
  await expect(script).resolves.toBe(PAGE);
});

test("a refusal from behind the front is an answer", async () => {
  await letEventsPass(1, "site-timeout");
  expect(await letEventsPass(1, "cmpivot-not-ready")).toBe("cmpivot-not-ready");
  expect(await letEventsPass(1, "site-timeout")).toBe("site-timeout");
  expect(told).toEqual([]);
});

test("where the front alone answers for a class, the class is away and the site is not", async () => {
  expect(await letEventsPass(1, "site-unavailable")).toBe("site-unavailable");
  expect(await letEventsPass(1, "site-unavailable")).toBe("site-class-unavailable");
  expect(told).toEqual([["v1.0/Device()/Events", "site-class-unavailable"]]);
});

test("a class that ends each connection is isolated like one that hangs", async () => {
  expect(await letEventsPass(1, "site-interrupted")).toBe("site-interrupted");
  expect(await letEventsPass(1, "site-interrupted")).toBe("site-class-interrupted");
  expect(told).toEqual([["v1.0/Device()/Events", "site-class-interrupted"]]);
});

test("where nothing is answered, no class is at fault", async () => {
  for (let times = 0; times < 5; times += 1) {
    for (const of of [hung, fine]) expect(await away(of)).toBe("site-timeout");
  }
  expect(told).toEqual([]);
});

test("what others answered before the site went away is not counted a second time", async () => {
  expect(await letPass()).toBe("site-timeout");
  for (let times = 0; times < 5; times += 1) expect(await away(hung)).toBe("site-timeout");
  expect(told).toEqual([]);
});

test("what others answered before a request began is no evidence against its class", async () => {
  expect(await letPass()).toBe("site-timeout");
  await answerOf(fine);
  expect(await away(hung)).toBe("site-timeout");
  expect(told).toEqual([]);
});

test("where the witness hangs, too, the next one is of another class", async () => {
  const third = { route: "wmi", name: "THIRD" } as const;
  for (const of of [fine, third]) await answerOf(of);
  const codes: string[] = [];
  for (const isAnswered of [false, true, true]) {
    const asked = ask();
    await settled();
    last().fail();
    await settled();
    expect(last().name).toBe(isAnswered ? "THIRD" : "FINE");
    if (isAnswered) last().answer();
    else last().fail();
    codes.push(await asked);
  }
  expect(codes).toEqual(["site-timeout", "site-timeout", "site-class-silent"]);
});

test("a class is not judged by a request of its own that another class wanted", async () => {
  await answerOf(fine);
  const asked = [ask(), ask(fine)];
  await settled();
  const [ofHung, ofFine] = sent.slice(-2);
  ofHung?.fail();
  await settled();
  const witness = last();
  expect(witness.name).toBe("FINE");
  ofFine?.fail();
  await settled();
  witness.answer();
  expect(await Promise.all(asked)).toEqual(["site-timeout", "site-timeout"]);
  const again = ask(fine);
  await settled();
  last().fail();
  await settled();
  last().answer();
  expect(await again).toBe("site-timeout");
  expect(told).toEqual([]);
});

test.each([0, 1])(
  "where nothing else is asked for, another class is, be it one that answered before",
  async (answers) => {
    if (answers > 0) await answerOf(fine);
    for (const code of ["site-timeout", "site-class-silent"]) {
      const asked = ask();
      await settled();
      last().fail();
      await settled();
      expect(last().name).toBe(answers > 0 ? "FINE" : "SMS_R_System");
      expect(last().asking.mayRepeat?.(late)).toBe(false);
      last().answer();
      expect(await asked).toBe(code);
    }
  },
);

test("with the first that nobody answered all of the class end, and then one is sent at a time", async () => {
  const first = [ask(), ask(), ask()];
  await settled();
  await answerOf(fine);
  sent[1]?.fail();
  expect(await Promise.all(first)).toEqual(["site-timeout", "site-timeout", "site-timeout"]);
  const before = sent.length;
  const next = [ask(), ask(), ask()];
  await settled();
  expect(sent).toHaveLength(before + 1);
  const trial = last();
  await answerOf(fine);
  trial.fail();
  // Those that waited fail with it, and no request is made for them.
  expect(await Promise.all(next)).toEqual(Array.from(next, () => "site-class-silent"));
  expect(sent).toHaveLength(before + 2);
});

test("where the site is away, those that waited fail with the one that was sent, too", async () => {
  await letPass();
  const next = [ask(), ask(), ask()];
  await settled();
  const before = sent.length;
  last().fail();
  await settled();
  last().fail();
  expect(await Promise.all(next)).toEqual(["site-timeout", "site-timeout", "site-timeout"]);
  expect(sent).toHaveLength(before + 1);
});

test("those that waited go once it answers", async () => {
  await letPass();
  const next = [ask(), ask(), ask()];
  await settled();
  const before = sent.length;
  last().answer();
  await settled();
  expect(sent).toHaveLength(before + 2);
  for (const { answer } of sent.slice(before)) answer();
  expect(await Promise.all(next)).toEqual(["page", "page", "page"]);
});

test("who gives up ends only the own request, and another one finds out", async () => {
  await letPass();
  const givingUp = new AbortController();
  const first = ask(hung, givingUp.signal);
  const waiting = new AbortController();
  const second = ask(hung, waiting.signal);
  const third = ask();
  await settled();
  waiting.abort(new Error("enough"));
  expect(await second).toBe("enough");
  givingUp.abort(new Error("enough"));
  expect(await first).toBe("enough");
  await settled();
  last().answer();
  expect(await third).toBe("page");
});

test("a timeout of a class that answers others is repeated, and that of one that answers nobody is not", async () => {
  const interrupted = new ConnectorError("site-interrupted", "cut", { isRetryable: true });
  const asked = ask();
  await settled();
  const { asking, fail } = last();
  expect([asking.mayRepeat?.(late), asking.mayRepeat?.(interrupted)]).toEqual([false, true]);
  await answerOf(hung);
  expect(asking.mayRepeat?.(late)).toBe(true);
  fail();
  expect(await asked).toBe("site-timeout");
  // It is none that is silent: two are sent at once.
  const before = sent.length;
  const both = [ask(), ask()];
  await settled();
  expect(sent).toHaveLength(before + 2);
  for (const { answer } of sent.slice(before)) answer();
  expect(await Promise.all(both)).toEqual(["page", "page"]);
});

test.each(["site-failed", "site-circuit-open", "site-unreachable"])(
  "%s says nothing of it",
  async (code) => {
    await letPass();
    const asked = ask();
    await settled();
    await answerOf(fine);
    sent.at(-2)?.fail(code);
    expect(await asked).toBe(code);
    expect(await letPass()).toBe("site-class-silent");
  },
);

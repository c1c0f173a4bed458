import { expect, test } from "vitest";
import { isFailure, lastLines, tryTwice } from "./turn.ts";

/** Fails as often as told; notes what was done in what order. */
function scene(failures: number) {
  const done: string[] = [];
  let tries = 0;
  const work = async () => {
    tries += 1;
    done.push(`try ${tries}`);
    if (tries <= failures) {
      throw new Error("no transfer", { cause: new Error(`reason ${tries}`) });
    }
    return { tries };
  };
  const outcome = tryTwice("round 3/3: ocserv", work, {
    mend: async () => void done.push("mended"),
    words: () => "ocserv said:\nworker died",
    progress: (line) => void done.push(line),
  });
  return { outcome, done };
}

test("what comes off is not tried again", async () => {
  const { outcome, done } = scene(0);
  expect(await outcome).toEqual({ tries: 1 });
  expect(done).toEqual(["try 1"]);
});

test("what fails is told with its reason and the last words of its peer, mended and tried once more", async () => {
  const { outcome, done } = scene(1);
  expect(await outcome).toEqual({ tries: 2 });
  expect(done).toEqual([
    "try 1",
    "round 3/3: ocserv failed, it is tried once more: no transfer\nreason 1\nocserv said:\nworker died",
    "mended",
    "try 2",
  ]);
});

test("what fails twice is left out, with the reason of the second time", async () => {
  const { outcome, done } = scene(2);
  const failure = await outcome;
  expect(failure).toEqual({ what: "round 3/3: ocserv", why: "no transfer\nreason 2" });
  expect(isFailure(failure)).toBe(true);
  expect(done.filter((line) => line === "mended")).toHaveLength(2);
});

test("of a long output the end is shown", () => {
  const lines = Array.from({ length: 100 }, (_, index) => `line ${index}`);
  expect(lastLines(`${lines.join("\n")}\n`).split("\n")).toEqual(lines.slice(80));
});

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { z } from "zod";
import { FakeClock } from "../testing/fake-clock.ts";
import { makeStore } from "../testing/kernel-store-fixture.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { DesiredConfiguration } from "./desired-configuration.ts";
import { watchStandaloneFile } from "./standalone-file.ts";

const INFO = 30;
const WARNING = 40;

test.each([
  ["what is applied", { colour: "blue" }, INFO],
  ["what is refused", { shade: "dark" }, WARNING],
])("%s is logged as that", async (_title, configuration, level) => {
  using folder = temporaryFolder();
  await using made = await makeStore();
  const file = join(folder.path, "desired.json");
  writeFileSync(file, JSON.stringify({ version: 1, configuration }));
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  const desired = new DesiredConfiguration({
    source: "standalone",
    schema: z.strictObject({ colour: z.string() }),
    service: { applyConfiguration: async () => {} },
    store: made.store,
    clock: new FakeClock(),
  });
  await using _watch = await watchStandaloneFile(file, desired, log);
  expect(lines.map((line) => JSON.parse(line).level)).toEqual([level]);
});

import { setTimeout as delay } from "node:timers/promises";
import type { FaultRule } from "../../simulators/configmgr/faults.ts";
import { type ChaosFault, fault } from "./fault.ts";
import type { SeededRandom } from "./random.ts";
import { type Scene, within } from "./scene.ts";
import { SCAN_MS } from "./settings.ts";

/** At the site's provider. A strike is an answer that was other than it would have been. */

const LONGEST_MS = 3_000;
const SKEW_MS = 600_000;
const READ_WITHIN_MS = 20_000;

/** Of the next answers so many. The site counts the strikes, for they may come while other things go wrong. */
function ofNextAnswers(of: {
  readonly name: string;
  readonly weight: number;
  readonly isNamed?: true;
  draw(random: SeededRandom): FaultRule;
}): ChaosFault {
  return fault({
    ...of,
    async strike({ site }, rule, name) {
      await site.ask("fault", { ...rule, name, isCountedByStrikes: true });
      return 0;
    },
  });
}

const ANSWER_FAULTS: readonly ChaosFault[] = [
  ofNextAnswers({
    ...{ name: "the provider hangs", weight: 2, isNamed: true },
    draw: (random) => ({ fault: { kind: "hang" }, times: random.between(1, 4) }),
  }),
  ofNextAnswers({
    ...{ name: "pages come short", weight: 4, isNamed: true },
    draw: (random) => ({
      fault: { kind: "short-page", rows: random.between(0, 20) },
      ...{ method: "GET", times: random.between(1, 6) },
    }),
  }),
  ofNextAnswers({
    ...{ name: "a page comes again", weight: 2 },
    draw: (random) => ({ fault: { kind: "repeated-page" }, times: random.between(1, 4) }),
  }),
  ofNextAnswers({
    ...{ name: "answers are cut", weight: 4 },
    draw: (random) => ({
      fault: { kind: "cut", when: random.pick(["before", "after", "mid-body"]) },
      times: random.between(1, 4),
    }),
  }),
  ofNextAnswers({
    ...{ name: "what an action did is not answered", weight: 3 },
    draw: (random) => ({
      fault: { kind: "cut", when: random.pick(["after", "mid-body"]) },
      ...{ method: "POST", times: random.between(1, 3) },
    }),
  }),
  ofNextAnswers({
    ...{ name: "the provider answers with errors", weight: 3 },
    draw: (random) => ({
      fault: { kind: "status", status: random.pick([429, 500, 503]) },
      times: random.between(1, 10),
    }),
  }),
];

/** Names of those whose strikes the site counts. */
export const COUNTED_AT_SITE: ReadonlySet<string> = new Set(ANSWER_FAULTS.map(({ name }) => name));

export const SITE_FAULTS: readonly ChaosFault[] = [
  ...ANSWER_FAULTS,
  fault({
    ...{ name: "rights are narrowed for a while", weight: 3, isNamed: true },
    draw: (random) => ({
      share: random.pick([0, 0.3, 0.7]),
      ms: random.between(1_000, 2 * LONGEST_MS),
    }),
    strike: narrow,
  }),
  // What is missing in two complete scans would be deleted, were it not for how much of it there is.
  fault({
    ...{ name: "rights are narrowed for longer than two scans", weight: 1 },
    draw: (random) => ({
      share: random.pick([0, 0.3, 0.7]),
      ms: random.between(3 * SCAN_MS, 4 * SCAN_MS),
    }),
    strike: narrow,
  }),
  fault({
    ...{ name: "the provider's clock is off for a while", weight: 2 },
    draw: (random) => ({
      skewMs: random.pick([-SKEW_MS, SKEW_MS]),
      ms: random.between(1_000, LONGEST_MS),
    }),
    async strike({ site }, { skewMs, ms }) {
      await site.ask("skewClock", skewMs);
      const before = (await site.ask("load")) as { readonly requests: number };
      await delay(ms);
      const after = (await site.ask("load")) as { readonly requests: number };
      await site.ask("skewClock", 0);
      return after.requests - before.requests;
    },
  }),
];

/** As long as it takes until somebody reads at all. */
async function narrow(
  { site }: Scene,
  { share, ms }: { readonly share: number; readonly ms: number },
): Promise<number> {
  const narrowed = async () =>
    Number(((await site.ask("strikes")) as Record<string, number>)["narrowed"]);
  const before = await narrowed();
  await site.ask("narrow", share);
  await delay(ms);
  await within(READ_WITHIN_MS, async () => (await narrowed()) > before);
  await site.ask("narrow", 1);
  return (await narrowed()) - before;
}

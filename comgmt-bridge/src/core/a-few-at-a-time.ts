import { allEnded } from "./all-ended.ts";

/** Own choice: more than a site is asked at once, so that it never waits for us, and far fewer than may wait for it. */
const AT_ONCE = 16;

/**
 * What a step makes of each item, in their order; after one that fails no further step begins, and those that are under way end first. Throws
 * what that one threw.
 */
export async function aFewAtATime<Item, Made>(
  items: readonly Item[],
  step: (item: Item) => Promise<Made>,
): Promise<Made[]> {
  const made: Made[] = [];
  const waiting = items.entries();
  let hasFailed = false;
  const work = async () => {
    for (const [at, item] of waiting) {
      if (hasFailed) return;
      try {
        made[at] = await step(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await allEnded(Array.from({ length: Math.min(AT_ONCE, items.length) }, work));
  return made;
}

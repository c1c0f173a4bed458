/**
 * The images' health check: asks `/ready` of the health listener that the running service wrote down in its state folder.
 * Exit code 0 when ready, 1 with the reason otherwise.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const TIMEOUT_MS = 4_000;

try {
  const file = join(process.env.ISTHMUS_STATE ?? "/var/lib/isthmus", "run.json");
  const { healthUrl } = JSON.parse(readFileSync(file, "utf8"));
  const answer = await fetch(new URL("/ready", healthUrl), {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!answer.ok) throw new Error(`not ready: ${await answer.text()}`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

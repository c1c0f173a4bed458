import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { SERVICES } from "@isthmus/shared/link/messages";
import type { Layout, SuiteService } from "../layout.ts";

/** Throws `suite-running` while services of this state folder are alive, with their process ids. */
export function requireSingleSuite(layout: Layout): void {
  const services: readonly SuiteService[] = ["control-plane", ...SERVICES];
  const alive = services.flatMap((service) => {
    const pid = pidOf(join(layout.of(service).stateFolder, "run.json"));
    return pid !== undefined && isService(pid, service) ? [`${service} (process ${pid})`] : [];
  });
  if (alive.length === 0) return;
  throw new ConnectorError(
    "suite-running",
    `A suite is running in ${layout.root}: ${alive.join(", ")}. ` +
      "Stop it with Ctrl-C where it was started, or end these processes.",
  );
}

function pidOf(file: string): number | undefined {
  try {
    return Number(JSON.parse(readFileSync(file, "utf8")).pid) || undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process is really this service: numbers are given to other programs later. */
function isService(pid: number, service: SuiteService): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(join(service, "src/main.ts"));
  } catch {
    return process.platform !== "linux";
  }
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "../machine.ts";
import { killChildren } from "../process/children.ts";
import { type SoakReport, soak } from "./soak.ts";

const HELP = `usage: npm run soak -- [options]

Runs the certificate connector at half of what this machine can do, on a clock that passes through a day: certificates and
lists expire, devices renew, the registration authority's key is replaced. Exit 1 where something was lost or grew.

  --minutes N   how long it runs (60)
  --hours N     how far the clock moves in this time (24)
  --rate N      enrolments a second, in place of half the measured capacity
  --json        one JSON document on stdout
  -h, --help    this text
`;
const EXIT = { ok: 0, failed: 1, usage: 2, stopped: 130 } as const;
/** The median of the last quarter against that of the second: caches are full by then. */
const MEMORY_GROWTH = 1.1;

const folder = mkdtempSync(join(tmpdir(), "isthmus-soak-"));
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    killChildren();
    clean();
    process.exit(EXIT.stopped);
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  clean();
}

async function main(words: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...words],
    options: {
      minutes: { type: "string", default: "60" },
      hours: { type: "string", default: "24" },
      rate: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const [minutes, hours] = [Number(values.minutes), Number(values.hours)];
  const perSecond = values.rate === undefined ? undefined : Number(values.rate);
  if (![minutes, hours, perSecond ?? 1].every((number) => number > 0 && number <= 10_000)) {
    process.stderr.write(`--minutes, --hours and --rate are numbers above 0\n\n${HELP}`);
    return EXIT.usage;
  }
  const progress = (line: string) => void process.stderr.write(`soak: ${line}\n`);
  const report = await soak({ minutes, hours, perSecond, folder, progress });
  const faults = faultsOf(report);
  const document = { machine: describeMachine(), ...report, faults };
  process.stdout.write(`${values.json ? JSON.stringify(document) : asText(report)}\n`);
  for (const fault of faults) process.stderr.write(`soak: ${fault}\n`);
  return faults.length === 0 ? EXIT.ok : EXIT.failed;
}

/** What must not be. */
function faultsOf(report: SoakReport): string[] {
  const faults: string[] = [...report.listFaults];
  const none = (count: number, what: string) => {
    if (count > 0) faults.push(`${count} ${what}`);
  };
  none(report.failed, `devices failed: ${report.failures.join(" | ")}`);
  none(report.unfinished, "intents without a certificate");
  none(report.repeatedSerials, "repeated serial numbers");
  none(report.unknown, "certificates that the ledger does not know");
  if (report.memoryLateMiB > report.memoryEarlyMiB * MEMORY_GROWTH) faults.push("memory grew");
  if (report.registrationCertificates < 2) faults.push("the RA's key was not replaced");
  if (!report.auditChain.startsWith("The audit chain is intact")) faults.push(report.auditChain);
  return faults;
}

function asText(report: SoakReport): string {
  return Object.entries(report)
    .map(([name, value]) => `${name.padEnd(26)} ${Array.isArray(value) ? value.length : value}`)
    .join("\n");
}

function clean(): void {
  rmSync(folder, { recursive: true, force: true });
}

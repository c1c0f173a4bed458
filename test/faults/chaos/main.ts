import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runChaos } from "./chaos.ts";

const HELP = `npm run chaos -- [--faults N] [--devices N] [--seed N] [--json]

A simulated Configuration Manager site, a control plane and two bridges of it, each a process, while one thing after another goes wrong: killed processes,
cut connections, pages that hang or come short, full disks, backups put back, clocks that jump, cloned bridges. No device may be told as deleted that the site
has. At the end everything in the cloud has to be as it is at the site, no script may have run twice, what has succeeded must have been done, and each action
must have come to an end. Needs root and Linux, for small disks (tmpfs).

  --faults N    how many faults (200)
  --devices N   how large the fleet is (300)
  --seed N      which run; the same seed draws the same faults and the same load (of the day)
  --json        prints the report as JSON
`;

const { values } = parseArgs({
  options: {
    faults: { type: "string", default: "200" },
    devices: { type: "string", default: "300" },
    seed: { type: "string", default: String(Math.floor(Date.now() / 86_400_000)) },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else process.exitCode = await main();

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-chaos-"));
  const report = await runChaos({
    folder,
    faults: Number(values.faults),
    devices: Number(values.devices),
    seed: Number(values.seed),
    say: (line) => {
      const seconds = Math.round(performance.now() / 1_000);
      process.stderr.write(`chaos: ${seconds} s: ${line}\n`);
    },
  });
  const text = values.json ? JSON.stringify(report, null, 2) : inWords(report);
  process.stdout.write(`${text}\n`);
  process.stderr.write(`chaos: state and logs are in ${folder}\n`);
  return report.faulty.length === 0 ? 0 : 1;
}

function inWords(report: Awaited<ReturnType<typeof runChaos>>): string {
  const faults = Object.entries(report.faults).map(
    ([name, { injected, strikes }]) => `${injected} x ${name}: ${strikes} strikes`,
  );
  const actions = Object.entries(report.actions).map(([kind, count]) => `${count} x ${kind}`);
  const verdict =
    report.faulty.length === 0 ? ["nothing was lost and nothing repeated"] : report.faulty;
  const asked = `asked for ${actions.join(", ")}; ${report.refused} not taken (the last: ${report.lastRefusal})`;
  return [`seed ${report.seed}`, ...faults, asked, ...report.figures, ...verdict].join("\n");
}

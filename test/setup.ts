/**
 * Runs before the tests: brings the foreign programs they play against. As root on Debian the small ones (about 200 MB)
 * are named and installed; the large ones (a container engine) only with CI=true or `--all`. What stays missing is named
 * here and skipped by its tests. ISTHMUS_TEST_SETUP=off turns all of it off.
 */
import { canInstall, extract, install } from "./setup/apt.ts";
import { prepareContainerEngine } from "./setup/container-engine.ts";
import { extractCurlBackport } from "./setup/curl-backport.ts";
import { buildStepCa } from "./setup/step-ca.ts";
import { findCurlPlugin, PLUGIN } from "./setup/strongswan-plugin.ts";
import { findTool, TOOLS, type ToolName } from "./tools.ts";

const isAll = process.argv.includes("--all") || process.env["CI"] === "true";

await setUp();

async function setUp(): Promise<void> {
  if (process.env["ISTHMUS_TEST_SETUP"] === "off") return;
  const wanted = names().filter((name) => isAll || TOOLS[name].size === "small");
  const lacking = wanted.filter((name) => findTool(name) === undefined);
  if (canInstall()) {
    installTools(lacking);
    extractPlugin();
    report(extractCurlBackport());
  }
  if (isAll) report(buildStepCa(say));
  if (isAll) report(await prepareContainerEngine(say));
  nameWhatIsMissing(wanted);
}

function installTools(lacking: readonly ToolName[]): void {
  if (lacking.length === 0) return;
  const packages = [...new Set(lacking.flatMap((name) => TOOLS[name].packages))];
  say(`installing ${packages.join(", ")} (ISTHMUS_TEST_SETUP=off leaves the machine as it is)`);
  report(install(packages));
}

function extractPlugin(): void {
  if (findTool("pki") === undefined || findCurlPlugin() !== undefined) return;
  report(extract(PLUGIN.packageName, PLUGIN.member, PLUGIN.cachedPath));
}

function nameWhatIsMissing(wanted: readonly ToolName[]): void {
  const missing = wanted.filter((name) => findTool(name) === undefined);
  if (missing.length > 0) say(`missing, so the tests with them are skipped: ${missing.join(", ")}`);
}

function names(): ToolName[] {
  return Object.keys(TOOLS) as ToolName[];
}

function report(failure: string | undefined): void {
  if (failure !== undefined) say(failure);
}

function say(line: string): void {
  process.stdout.write(`test setup: ${line}\n`);
}

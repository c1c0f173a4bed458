import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import { parseIn } from "@isthmus/shared/kernel/configuration-keys";
import { desiredConfiguration } from "@isthmus/tunnel-gateway/config/desired-configuration";
import { guardrails } from "@isthmus/tunnel-gateway/config/guardrails";
import { localConfiguration } from "@isthmus/tunnel-gateway/config/local-configuration";
import { vpnConfiguration } from "@isthmus/tunnel-gateway/config/vpn-configuration";
import { vpnLocalConfiguration } from "@isthmus/tunnel-gateway/config/vpn-local-configuration";
import { tunnelSlices } from "@isthmus/tunnel-gateway/core/vpn/tunnel-slices";
import { gatewayCli } from "@isthmus/tunnel-gateway/main/cli";
import { afterAll, beforeAll, expect, test } from "vitest";

const page = readFileSync("docs/tunnel-gateway/README.md", "utf8");
const blocks = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(([, text = ""]) =>
  JSON.parse(text),
);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-page-"));
  const files = ["guardrails.json", "desired.json", "gateway.pem", "gateway.key.pem"];
  for (const file of [...files, "devices.pem"])
    writeFileSync(join(folder, file), "{}", { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What is wrong with a block, by the schema that it is for. */
function faultsOf(block: Record<string, unknown>): unknown {
  if ("configuration" in block) {
    return parseIn(folder, desiredConfiguration, block["configuration"]).error?.issues;
  }
  if ("stateFolder" in block) {
    const schema = commonConfiguration.extend(localConfiguration.shape).strict();
    return parseIn(folder, schema, block).error?.issues;
  }
  if ("commands" in block) return guardrails.safeParse(block["tunnel-gateway"]).error?.issues;
  const vpn = block["vpn"] as Record<string, unknown>;
  if ("groups" in vpn) return parseIn(folder, vpnConfiguration, vpn).error?.issues;
  return parseIn(folder, vpnLocalConfiguration, vpn).error?.issues;
}

test.each(blocks)("the configuration %j is valid", (block) => {
  expect(faultsOf(block)).toBeUndefined();
});

test("the guide's addresses can be cut into its tunnels", () => {
  const locals = blocks.filter(({ vpn }) => vpn?.network !== undefined);
  expect(locals).toHaveLength(2);
  for (const { vpn } of locals) expect(tunnelSlices(vpn)).toHaveLength(vpn.tunnels.count);
});

test("operations.md names the gateway's own commands", () => {
  const operations = readFileSync("docs/tunnel-gateway/operations.md", "utf8");
  const names = gatewayCli.map(({ name }) => name);
  const missing = names.filter((name) => !operations.includes(`\`${name}`));
  expect(missing).toEqual([]);
});

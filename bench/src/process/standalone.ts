import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a connector without a control plane is told by files in its folder. */
export interface StandaloneFiles {
  /** Its desired configuration. */
  readonly desired: unknown;
  /** Its guardrails: the file as it is written. */
  readonly guardrails: unknown;
}

/** The keys of a local configuration that every connector of a bench has: no control plane, any ports, warnings logged. */
export function standaloneConfiguration(
  folder: string,
  files: StandaloneFiles,
): Readonly<Record<string, unknown>> {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: unknown) => {
    const file = join(folder, name);
    writeFileSync(file, JSON.stringify(content, null, 2));
    return file;
  };
  return {
    standalone: {
      desiredConfigurationFile: write("desired.json", { version: 1, configuration: files.desired }),
    },
    guardrailsFile: write("guardrails.json", files.guardrails),
    health: { address: "127.0.0.1", port: 0 },
    log: { level: "warn" },
  };
}

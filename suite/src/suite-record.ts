import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { ConnectorError } from "@isthmus/shared/errors";
import { writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import { SERVICES, type Service } from "@isthmus/shared/link/messages";
import { z } from "zod";
import type { Layout } from "./layout.ts";
import { PORT_NAMES, PORTS, type Ports } from "./ports.ts";

const port = z.number().int().min(1).max(65_535);

/** What a later start has to know of the first one: suite.json. */
const suiteRecord = z.strictObject({
  version: z.literal(1),
  /** False while the first start is at it; a start that finds it so begins again. */
  isSetUp: z.boolean(),
  ports: z.strictObject({
    controlPlane: port,
    scep: port,
    tunnel: port,
    site: port,
    /** Folders of earlier versions have no such site; theirs goes where new ones have it. */
    configurationManager: port.default(PORTS.configurationManager.default),
  }),
  /** Connector ids by service. */
  connectors: z.record(z.string(), z.string()),
  issuerKeyId: z.string(),
});

export interface SuiteRecord {
  readonly isSetUp: boolean;
  readonly ports: Ports;
  readonly connectors: Readonly<Partial<Record<Service, string>>>;
  readonly issuerKeyId: string;
}

/**
 * Reads suite.json; undefined for a folder that is new. Throws `state-folder-foreign` for a folder with other things in it,
 * and `state-folder-damaged` for a record that is none.
 */
export function readSuiteRecord(layout: Layout): SuiteRecord | undefined {
  if (existsSync(layout.suiteFile)) return parse(layout);
  if (!existsSync(layout.root) || readdirSync(layout.root).length === 0) return undefined;
  throw new ConnectorError(
    "state-folder-foreign",
    `${layout.root} holds other things and no suite.json: give an empty folder with --state-folder.`,
  );
}

export function writeSuiteRecord(layout: Layout, record: SuiteRecord): void {
  mkdirSync(layout.root, { recursive: true, mode: 0o700 });
  writeFileAtomically(layout.suiteFile, `${JSON.stringify({ version: 1, ...record }, null, 2)}\n`);
}

/**
 * Refuses ports other than those the folder was set up with: certificates, enrolments and configurations in it name them.
 * Throws `ports-changed`.
 */
export function requireSamePorts(record: SuiteRecord, asked: Partial<Ports>): void {
  const changed = PORT_NAMES.filter(
    (name) => (asked[name] ?? record.ports[name]) !== record.ports[name],
  );
  if (changed.length === 0) return;
  const list = changed.map((name) => `--${PORTS[name].flag} ${record.ports[name]}`).join(" ");
  throw new ConnectorError(
    "ports-changed",
    `This state folder was set up with ${list}, and certificates in it name these ports: ` +
      "start without other ports, or give a new folder with --state-folder.",
  );
}

/**
 * Refuses a folder in which the state of a service is gone: the others believe only whom they were enrolled with. Throws
 * `state-folder-damaged`.
 */
export function requireWholeFolder(layout: Layout): void {
  const gone = ["control-plane" as const, ...SERVICES]
    .map((service) => layout.of(service).stateFolder)
    .filter((folder) => !existsSync(folder));
  if (gone.length === 0) return;
  throw new ConnectorError(
    "state-folder-damaged",
    `${gone.join(", ")} is gone, and the other services know only what was there: put it back, ` +
      `remove ${layout.root} to begin anew, or give another with --state-folder.`,
  );
}

function parse(layout: Layout): SuiteRecord {
  try {
    return suiteRecord.parse(JSON.parse(readFileSync(layout.suiteFile, "utf8")));
  } catch (cause) {
    throw new ConnectorError(
      "state-folder-damaged",
      `${layout.suiteFile} cannot be read: remove ${layout.root} to begin anew, or give another with --state-folder.`,
      { cause },
    );
  }
}

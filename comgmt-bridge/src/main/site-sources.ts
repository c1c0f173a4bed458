import { setTimeout as pauseFor } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { DesiredSite } from "@isthmus/shared/link/desired-sites";
import type { Random } from "@isthmus/shared/random";
import type { BridgeGuardrails } from "../config/bridge-configuration.ts";
import { OTHER_KINDS } from "../core/list-tables.ts";
import { SiteSource } from "../site/site-source.ts";
import type { ConnectedSite, Sites } from "./sites.ts";
import type { SourceObserver } from "./source-observer.ts";
import type { WantedSource } from "./wanted-source.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/**
 * The sites that the control plane wants read, as far as this host agrees. Throws ConnectorError `site-unknown` for one that the local file does
 * not describe, RefusalError `inventory-class-refused`.
 */
export function wantedSites(
  desired: readonly DesiredSite[],
  sites: Sites,
  guardrails: Pick<BridgeGuardrails, "inventory">,
  parts: { readonly clock: Clock; readonly random: Random },
): readonly WantedSource[] {
  return desired.map((wanted) => {
    const site = sites.of(wanted.source);
    if (site === undefined) {
      throw new ConnectorError(
        "site-unknown",
        `sites names ${wanted.source}, which the local configuration does not describe; it has ${sites.all.map(({ configuration }) => configuration.siteCode).join(", ") || "no site"}`,
      );
    }
    judgeClasses(wanted.inventoryClasses, guardrails.inventory.classes);
    return {
      name: wanted.source,
      make: JSON.stringify(wanted),
      start: (observer) => sourceOf(wanted, site, observer, parts),
    };
  });
}

function judgeClasses(wanted: readonly string[], allowed: readonly string[]): void {
  if (allowed.includes("*")) return;
  const refused = wanted.filter((name) => !allowed.includes(name));
  if (refused.length === 0) return;
  throw new RefusalError(
    "inventory-class-refused",
    "guardrails.comgmt-bridge.inventory.classes",
    `the guardrails do not allow ${refused.join(", ")} to be read`,
  );
}

function sourceOf(
  wanted: DesiredSite,
  { configuration, client }: ConnectedSite,
  observer: SourceObserver,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): SiteSource {
  return new SiteSource({
    name: configuration.siteCode,
    kinds: ["device", ...OTHER_KINDS.map(({ kind }) => kind)],
    client,
    pageRows: configuration.limits.pageRows,
    wanted: {
      inventoryClasses: wanted.inventoryClasses,
      isUpdateComplianceRead: wanted.updateCompliance,
      areApplicationStatesRead: wanted.applicationStates,
      areBoundaryGroupsRead: wanted.boundaryGroups,
      collections: wanted.collections,
    },
    parts: { clock, random, pause: (ms, signal) => pauseFor(ms, undefined, { signal }) },
    observer,
    periods: {
      truthMs: wanted.truthMinutes * MINUTE_MS,
      wholeMs: wanted.inventoryHours * HOUR_MS,
    },
    hotMs: wanted.hotSeconds * 1_000,
    clientEventsPerHour: wanted.clientEventsPerHour,
  });
}

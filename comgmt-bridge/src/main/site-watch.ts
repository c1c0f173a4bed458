import type { CheckResult, Health } from "@isthmus/shared/kernel/service-definition";
import type { SiteConfiguration } from "../config/site.ts";
import type { BreakerState } from "../core/circuit-breaker.ts";
import { SYSTEM } from "../protocol/admin-service/rows.ts";
import type { AdminServiceClient } from "../site/admin-service-client.ts";
import { Deadline } from "../site/deadline.ts";
import { probeCapabilities, type SiteCapabilities } from "../site/probe-capabilities.ts";
import { readKeyRange } from "../site/read-key-range.ts";
import { openSite, type SiteParts } from "./site.ts";
import { checkIdentity } from "./site-checks.ts";
import { failedSiteCheck } from "./site-remedies.ts";

/** Own limits: how often a health check really asks the site, and how long it may take. */
const ASK_EVERY_MS = 60_000;
const ASK_MS = 9_000;

/** The running bridge's site: what its provider can do, whether it answers, and who it is. */
export class SiteWatch implements Disposable {
  readonly #configuration: SiteConfiguration;
  readonly #parts: SiteParts;
  readonly #client: AdminServiceClient;
  #capabilities: SiteCapabilities | undefined;
  #last: { readonly at: number; readonly result: CheckResult } | undefined;

  constructor(configuration: SiteConfiguration, { clock, random, stateFolder }: SiteParts) {
    this.#configuration = configuration;
    this.#parts = { clock, random, stateFolder };
    this.#client = openSite(configuration, this.#parts);
  }

  /** Good news is kept for a minute; bad news is looked at again each time, as far as the breaker lets it. */
  async check(): Promise<CheckResult> {
    const now = this.#parts.clock.now();
    const { breaker } = this.#client;
    const last = this.#last;
    if (last?.result.status === "healthy" && breaker.kind === "closed") {
      if (now >= last.at && now - last.at < ASK_EVERY_MS) return last.result;
    }
    const result = await this.#ask().catch(failedSiteCheck);
    this.#last = { at: now, result };
    return result;
  }

  /** Shared with all who ask this site: it has so many places and no more. */
  get client(): AdminServiceClient {
    return this.#client;
  }

  /** `suffix` tells the figures of several sites apart. */
  reportTo(health: Health, suffix = ""): void {
    health.figure(`site-requests-in-flight${suffix}`, () => this.#client.inFlight);
    health.figure(`site-requests-waiting${suffix}`, () => this.#client.waiting);
    health.fact(`site-code${suffix}`, () => this.#configuration.siteCode);
    health.fact(`site-breaker${suffix}`, () => breakerWord(this.#client.breaker));
    health.fact(
      `site-capabilities${suffix}`,
      () => this.#capabilities && capabilityWords(this.#capabilities),
    );
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async #ask(): Promise<CheckResult> {
    using deadline = new Deadline(ASK_MS);
    const asking = { lane: "hint", signal: deadline.signal } as const;
    const { pageRows } = this.#configuration.limits;
    this.#capabilities ??= await probeCapabilities(this.#client, pageRows, asking);
    const identity = await checkIdentity(this.#client, this.#configuration, asking);
    if (identity.status !== "healthy") return identity;
    const { keyName, greaterThan, orderBy } = this.#capabilities;
    if (greaterThan === false) return noKeyPaging;
    if (keyName === undefined) {
      // The account saw no device then; it is asked again once it may see one.
      this.#capabilities = undefined;
      return identity;
    }
    const range = {
      ...{ of: SYSTEM, keyName, after: 0, select: [keyName], pageRows },
      isOrdered: orderBy === true,
    };
    const pages = readKeyRange(this.#client, range, asking);
    const { value: first } = await pages.next();
    await pages.return();
    const rows = first?.rows.length ?? 0;
    return { ...identity, reason: `${identity.reason}; the first page has ${rows} devices` };
  }
}

const noKeyPaging: CheckResult = {
  status: "unhealthy",
  reason:
    "the site does not select by `key gt N`, so devices cannot be read page by page without losing some",
  remedy: "update the site to a release whose AdminService supports gt in $filter",
};

function breakerWord(state: BreakerState): string {
  return state.kind;
}

/** `order-by=yes skip=no ...`, for comparing sites. */
function capabilityWords(of: SiteCapabilities): string {
  const word = (is: boolean | undefined) => (is === undefined ? "unknown" : is ? "yes" : "no");
  return [
    `key=${of.keyName ?? "unknown"}`,
    `gt=${word(of.greaterThan)}`,
    `ge=${word(of.greaterOrEqual)}`,
    `order-by=${word(of.orderBy)}`,
    `top=${word(of.top)}`,
    `skip=${word(of.skip)}`,
    `next-link=${word(of.nextLink)}`,
    `page-rows=${of.pageRows}`,
  ].join(" ");
}

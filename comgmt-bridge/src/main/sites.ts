import { ConfigurationError } from "@isthmus/shared/errors";
import type { Kernel } from "@isthmus/shared/kernel/service-definition";
import type { LocalConfiguration } from "../config/bridge-configuration.ts";
import type { SiteConfiguration } from "../config/site.ts";
import type { AdminServiceClient } from "../site/admin-service-client.ts";
import { SiteWatch } from "./site-watch.ts";

/** A site that the local file describes, with the one client that all of the bridge shares. */
export interface ConnectedSite {
  readonly configuration: SiteConfiguration;
  readonly watch: SiteWatch;
  readonly client: AdminServiceClient;
}

/** The sites of the local file; `site` first, then `sites`. Throws ConfigurationError where two have one code. */
export function configuredSites({
  site,
  sites,
}: Pick<LocalConfiguration, "site" | "sites">): readonly SiteConfiguration[] {
  const all = [...(site === undefined ? [] : [site]), ...sites];
  const codes = all.map(({ siteCode }) => siteCode);
  const twice = codes.find((code, index) => codes.indexOf(code) !== index);
  if (twice === undefined) return all;
  throw new ConfigurationError("the local configuration", [
    `sites: two sites have the code ${twice}`,
  ]);
}

/** All sites that the bridge is connected to. */
export class Sites implements Disposable {
  readonly all: readonly ConnectedSite[];

  constructor(kernel: Kernel<LocalConfiguration, unknown, never>) {
    const { clock, random, stateFolder, health } = kernel;
    this.all = configuredSites(kernel.local).map((configuration, index) => {
      const watch = new SiteWatch(configuration, { clock, random, stateFolder });
      const suffix = index === 0 ? "" : `-${configuration.siteCode.toLowerCase()}`;
      health.register({ name: `site${suffix}`, run: () => watch.check() });
      watch.reportTo(health, suffix);
      return { configuration, watch, client: watch.client };
    });
  }

  of(siteCode: string): ConnectedSite | undefined {
    return this.all.find(({ configuration }) => configuration.siteCode === siteCode);
  }

  [Symbol.dispose](): void {
    for (const { watch } of this.all) watch[Symbol.dispose]();
  }
}

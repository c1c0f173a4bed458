import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { SiteConfiguration } from "../config/site.ts";
import { LIMITS } from "./site-under-test.ts";

export interface ConfiguredSite extends Disposable {
  readonly configuration: SiteConfiguration;
  writeToken(token: string): void;
}

/** The configuration of a test's site, with its files. */
export function configuredSite(
  { url, caPem }: { readonly url: string; readonly caPem: string },
  token: string,
  limits: Partial<SiteConfiguration["limits"]> = {},
): ConfiguredSite {
  const folder = temporaryFolder();
  const [tokenFile, caFile] = [join(folder.path, "token"), join(folder.path, "ca.pem")];
  const writeToken = (text: string) => writeFileSync(tokenFile, text, { mode: 0o600 });
  writeToken(token);
  writeFileSync(caFile, caPem);
  return {
    configuration: {
      ...{ url, siteCode: "CM1", tokenFile, caFile, scriptParameterHash: "lower" },
      limits: { ...LIMITS, ...limits },
    },
    writeToken,
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

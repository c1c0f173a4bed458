import { readFileSync } from "node:fs";
import type { SiteConfiguration } from "../config/site.ts";
import { AdminServiceClient, type AdminServiceClientParts } from "../site/admin-service-client.ts";
import { kerberosCredential, tokenCredential } from "../site/site-credential.ts";
import type { SiteSettings } from "../site/site-settings.ts";

/** A client of the site that the local configuration describes. */
export function openSite(
  configuration: SiteConfiguration,
  parts: AdminServiceClientParts,
): AdminServiceClient {
  return new AdminServiceClient(siteSettings(configuration), parts);
}

export function siteSettings(configuration: SiteConfiguration): SiteSettings {
  const { url, siteCode, caFile, pin, limits } = configuration;
  const ca = caFile === undefined ? undefined : readFileSync(caFile, "utf8");
  return { url, siteCode, credential: credentialOf(configuration), ca, pin, limits };
}

/** The schema has seen to it that there is exactly one of the two. */
function credentialOf({ tokenFile, kerberos }: SiteConfiguration) {
  if (tokenFile !== undefined) return tokenCredential(tokenFile);
  return kerberosCredential(kerberos?.principal ?? "no principal");
}

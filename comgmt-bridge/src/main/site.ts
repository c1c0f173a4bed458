import { readFileSync } from "node:fs";
import { useKeytab } from "@isthmus/shared/directory/kerberos-environment";
import { KerberosTickets } from "@isthmus/shared/directory/kerberos-tickets";
import type { SiteConfiguration } from "../config/site.ts";
import { AdminServiceClient, type AdminServiceClientParts } from "../site/admin-service-client.ts";
import { kerberosCredential } from "../site/kerberos-credential.ts";
import { loadKerberos } from "../site/kerberos-library.ts";
import { type SiteCredential, tokenCredential } from "../site/site-credential.ts";
import type { SiteSettings } from "../site/site-settings.ts";

export interface SiteParts extends AdminServiceClientParts {
  /** Where Kerberos tickets are kept. */
  readonly stateFolder: string;
}

/** A client of the site that the local configuration describes. */
export function openSite(configuration: SiteConfiguration, parts: SiteParts): AdminServiceClient {
  const { clock, random, pause } = parts;
  const settings = siteSettings(configuration, parts);
  return new AdminServiceClient(settings, { clock, random, ...(pause && { pause }) });
}

export function siteSettings(configuration: SiteConfiguration, parts: SiteParts): SiteSettings {
  const { url, siteCode, caFile, pin, limits } = configuration;
  const ca = caFile === undefined ? undefined : readFileSync(caFile, "utf8");
  return { url, siteCode, credential: credentialOf(configuration, parts), ca, pin, limits };
}

/** The schema has seen to it that there is exactly one of the two. */
function credentialOf(
  { tokenFile, kerberos }: SiteConfiguration,
  { clock, random, stateFolder }: SiteParts,
): SiteCredential {
  if (tokenFile !== undefined) return tokenCredential(tokenFile, clock);
  useKeytab(kerberos?.keytabFile, stateFolder);
  return kerberosCredential({
    tickets: new KerberosTickets({
      ...{ principal: kerberos?.principal, clock, random },
      load: loadKerberos,
    }),
    isChannelBound: kerberos?.channelBinding ?? true,
    clock,
  });
}

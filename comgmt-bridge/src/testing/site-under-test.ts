import { systemClock } from "@isthmus/shared/clock";
import { systemRandom } from "@isthmus/shared/random";
import { AdminServiceClient, type AdminServiceClientParts } from "../site/admin-service-client.ts";
import type { SiteLimits, SiteSettings } from "../site/site-settings.ts";
import { TOKEN } from "./strict-admin-service.ts";

export const LIMITS: SiteLimits = {
  maxInFlight: 4,
  requestsPerSecond: 200,
  connectTimeoutMs: 5_000,
  firstByteTimeoutMs: 10_000,
  timeoutMs: 10_000,
  maxAnswerBytes: 65_536,
  pageRows: 10,
  retries: 0,
  breakerFailures: 100,
  breakerOpenMs: 1_000,
};

/** In place of waiting: the next turn of the event loop. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** A client of a test's site. It waits for nothing between attempts. */
export function clientOf(
  { url, caPem }: { readonly url: string; readonly caPem: string },
  {
    limits = {},
    parts = {},
    ...settings
  }: Partial<Omit<SiteSettings, "limits">> & {
    readonly limits?: Partial<SiteLimits>;
    readonly parts?: Partial<AdminServiceClientParts>;
  } = {},
): AdminServiceClient {
  const credential = {
    basePath: "/AdminService_TokenAuth/",
    present: async () => ({ authorization: () => `Bearer ${TOKEN}` }),
  } as const;
  return new AdminServiceClient(
    { url, siteCode: "CM1", credential, ca: caPem, ...settings, limits: { ...LIMITS, ...limits } },
    { clock: systemClock, random: systemRandom, pause: nextTurn, ...parts },
  );
}

/** Asks without an end of its own. */
export function asking(lane: "command" | "hint" | "snapshot" = "snapshot") {
  return { lane, signal: new AbortController().signal } as const;
}

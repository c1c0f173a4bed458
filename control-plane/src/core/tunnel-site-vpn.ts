/**
 * What the configuration of a Microsoft Tunnel site comes to at its gateways, in the words of a gateway's desired
 * configuration.
 *
 * The gateway's own document stays the source of groups and of how they authenticate. Each group gets the site's routes, DNS,
 * timeouts and the like wherever it has no such key of its own, key by key: an empty list of its own is an answer, too.
 * `network`, `ipv6Network` and `listenPort` are matters of the gateway's own file and only compared (`tunnel-server-health.ts`).
 */

/** Limits of a gateway's desired configuration, so that nothing is sent which it refuses. */
export const SITE_LIMITS = { routes: 5_000, dnsServers: 8, splitDns: 500 } as const;
export const DOMAIN = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?$/;
const MAX_BANNER_CHARACTERS = 1_000;

interface NumberSetting {
  readonly key: string;
  readonly least: number;
  readonly most: number;
}
const number = (key: string, least: number, most: number): NumberSetting => ({ key, least, most });

/** `advancedSettings` by the names ocserv has for them: seconds, kept under `timeouts` of a group. */
const TIMEOUTS: Readonly<Record<string, NumberSetting>> = {
  dpd: number("dpdSeconds", 5, 3_600),
  "mobile-dpd": number("mobileDpdSeconds", 5, 86_400),
  "idle-timeout": number("idleSeconds", 0, 2_592_000),
  "session-timeout": number("sessionSeconds", 0, 31_536_000),
  "cookie-timeout": number("disconnectedSeconds", 10, 604_800),
  keepalive: number("keepaliveSeconds", 0, 86_400),
  "rekey-time": number("rekeySeconds", 600, 604_800),
};

/** Likewise what stands in the group itself. */
const NUMBERS: Readonly<Record<string, NumberSetting>> = {
  mtu: number("mtu", 576, 1_500),
  "max-same-clients": number("sessionsPerUser", 1, 10_000),
};
const BANNER = "banner";
const KNOWN = [...Object.keys(TIMEOUTS), ...Object.keys(NUMBERS), BANNER];

export interface AdvancedSetting {
  readonly name: string;
  readonly value: string;
}

/** Why a list of advanced settings cannot be taken: faults, each with the index of its setting. */
export function advancedSettingFaults(
  settings: readonly AdvancedSetting[],
): readonly { readonly index: number; readonly message: string }[] {
  return settings.flatMap((setting, index) => {
    const isAgain = settings.findIndex(({ name }) => name === setting.name) < index;
    const message = isAgain ? `${setting.name} stands there twice` : settingFault(setting);
    return message === undefined ? [] : [{ index, message }];
  });
}

function settingFault({ name, value }: AdvancedSetting): string | undefined {
  if (name === BANNER) {
    if (value.length <= MAX_BANNER_CHARACTERS) return undefined;
    return `${name}: ${value.length} characters exceed ${MAX_BANNER_CHARACTERS}`;
  }
  const setting = numberSetting(name);
  if (setting === undefined) return `${name} is no known setting; known are ${KNOWN.join(", ")}`;
  const { least, most } = setting;
  const isWithin = /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most;
  return isWithin ? undefined : `${name}: expected a whole number from ${least} to ${most}`;
}

function numberSetting(name: string): NumberSetting | undefined {
  if (Object.hasOwn(TIMEOUTS, name)) return TIMEOUTS[name];
  return Object.hasOwn(NUMBERS, name) ? NUMBERS[name] : undefined;
}

/** What a site says, as it is kept. */
export interface TunnelSiteValues {
  readonly dnsServers: readonly string[];
  readonly defaultDomainSuffix: string | null;
  readonly routeIncludes: readonly string[];
  readonly routeExcludes: readonly string[];
  readonly splitDNS: readonly string[];
  readonly advancedSettings: readonly AdvancedSetting[];
  readonly disableUdpConnections: boolean;
  readonly internalNetworkProbeUrl: string | null;
}

/** A gateway's own document with what its site says; the very document where that is nothing. */
export function withSiteVpn(own: unknown, site: TunnelSiteValues): unknown {
  if (!isRecord(own)) return own;
  const { vpn = {} } = own;
  // What is malformed stays so: the gateway refuses it and says why.
  if (!isRecord(vpn)) return own;
  const { groups } = vpn;
  const defaults = groupDefaults(site);
  const given = {
    ...(site.internalNetworkProbeUrl !== null && {
      internalNetworkProbeUrl: site.internalNetworkProbeUrl,
    }),
    ...vpn,
    ...(Array.isArray(groups) && {
      groups: groups.map((group) => (isRecord(group) ? withDefaults(group, defaults) : group)),
    }),
  };
  return Object.keys(given).length === 0 ? own : { ...own, vpn: given };
}

interface GroupDefaults {
  readonly values: Readonly<Record<string, unknown>>;
  readonly timeouts: Readonly<Record<string, number>>;
}

function groupDefaults(site: TunnelSiteValues): GroupDefaults {
  const settings = site.advancedSettings.filter((one) => settingFault(one) === undefined);
  const banner = settings.find(({ name }) => name === BANNER);
  const values = {
    ...listed("routesInclude", site.routeIncludes),
    ...listed("routesExclude", site.routeExcludes),
    ...listed("dnsServers", site.dnsServers),
    ...listed("splitDns", site.splitDNS),
    ...(site.defaultDomainSuffix !== null && { defaultDomain: site.defaultDomainSuffix }),
    ...(site.disableUdpConnections && { udp: false }),
    ...(banner && { banner: banner.value }),
    ...numbersOf(settings, NUMBERS),
  };
  return { values, timeouts: numbersOf(settings, TIMEOUTS) };
}

const listed = (key: string, values: readonly string[]) =>
  values.length === 0 ? {} : { [key]: values };

function numbersOf(
  settings: readonly AdvancedSetting[],
  known: Readonly<Record<string, NumberSetting>>,
): Readonly<Record<string, number>> {
  const entries = settings.flatMap(({ name, value }) => {
    const setting = Object.hasOwn(known, name) ? known[name] : undefined;
    return setting ? [[setting.key, Number(value)] as const] : [];
  });
  return Object.fromEntries(entries);
}

function withDefaults(
  group: Readonly<Record<string, unknown>>,
  { values, timeouts }: GroupDefaults,
): Readonly<Record<string, unknown>> {
  const { timeouts: own = {} } = group;
  const isTimed = Object.keys(timeouts).length > 0 && isRecord(own);
  return { ...values, ...group, ...(isTimed && { timeouts: { ...timeouts, ...own } }) };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

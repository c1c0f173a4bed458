import { type CliCommand, EXIT_FAILED, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { askVpn } from "./ask-gateway.ts";
import type { DetailedVpnSession, ListedUser, ListedVpnSession } from "./vpn-listing.ts";
import {
  banText,
  detailText,
  type NearBan,
  nearText,
  sessionLine,
  statusText,
  type VpnStatus,
} from "./vpn-text.ts";

const options = { config: CONFIG_OPTION };
const filters = {
  ...options,
  user: { type: "string", valueName: "NAME", summary: "only this user's" },
  device: { type: "string", valueName: "ID", summary: "only this device's" },
} as const;

interface ListedGroup {
  readonly name: string;
  readonly label: string;
  readonly authentication: readonly (readonly string[])[];
  readonly requireDevice: boolean;
  readonly pool?: string;
  readonly routesInclude: number;
  readonly routesExclude: number;
  readonly sessions: number;
}

interface ListedRoutes {
  readonly group: string;
  readonly routesInclude: readonly string[];
  readonly routesExclude: readonly string[];
  readonly dnsServers: readonly string[];
  readonly defaultDomain?: string;
  readonly splitDns: readonly string[];
  readonly mtu?: number;
  readonly udp: boolean;
}

interface ListedBans {
  readonly total: number;
  readonly bans: readonly {
    readonly kind: string;
    readonly key: string;
    readonly points: number;
    /** Ms since the epoch. */
    readonly until: number;
    readonly secondsLeft: number;
  }[];
  /** On the way to a ban; the nearest of them. */
  readonly nearTotal: number;
  readonly near: readonly NearBan[];
}

/** What an operator asks of the VPN on the gateway's host; every verb but `import-cert` and `readiness` asks the running service. */
export const vpnCommands: readonly CliCommand[] = [
  {
    name: "vpn",
    summary: "show the VPN: sessions, users, groups, routes",
    commands: [
      {
        name: "status",
        summary: "show listeners, data path, sessions, addresses and what was dropped",
        options,
        async run(call) {
          const value = await askVpn<VpnStatus>(call, "vpn-status");
          return { text: statusText(value), value };
        },
      },
      {
        name: "sessions",
        summary: "list the VPN's sessions",
        options: filters,
        async run(call) {
          const asked = { userName: call.text("user"), deviceId: call.text("device") };
          const value = await askVpn<{ total: number; sessions: ListedVpnSession[] }>(
            call,
            "vpn-sessions",
            asked,
          );
          const now = Date.now();
          const lines = value.sessions.map((session) => sessionLine(session, now));
          return { text: [...lines, `${value.total} sessions`].join("\n"), value };
        },
      },
      {
        name: "session",
        summary: "show all that is known of one session",
        options,
        positionals: [
          { name: "sessionId", summary: "the whole id, as `vpn sessions` shows it first" },
        ],
        async run(call) {
          const [sessionId] = call.positionals;
          const value = await askVpn<DetailedVpnSession>(call, "vpn-session", { sessionId });
          return { text: detailText(value), value };
        },
      },
      {
        name: "users",
        summary: "list the users with sessions",
        options,
        async run(call) {
          const value = await askVpn<{ total: number; users: ListedUser[] }>(call, "vpn-users");
          const lines = value.users.map(({ userName, sessions, connected, devices }) =>
            [userName, `${connected} of ${sessions} connected`, devices.join(",") || "-"].join(
              "\t",
            ),
          );
          return { text: [...lines, `${value.total} users`].join("\n"), value };
        },
      },
      {
        name: "groups",
        summary: "list the groups that clients can log in to",
        options,
        async run(call) {
          const value = await askVpn<{ groups: ListedGroup[] }>(call, "vpn-groups");
          const lines = value.groups.map((group) =>
            [
              group.name,
              group.authentication.map((list) => list.join("+")).join(" or "),
              group.requireDevice ? "device required" : "users alone",
              `${group.sessions} sessions`,
              ...(group.pool === undefined ? [] : [`pool ${group.pool}`]),
            ].join("\t"),
          );
          return { text: [...lines, `${value.groups.length} groups`].join("\n"), value };
        },
      },
      {
        name: "routes",
        summary: "show what clients of a group are told: routes, name servers, timeouts",
        options,
        positionals: [
          { name: "group", summary: "the default group unless given", isOptional: true },
        ],
        async run(call) {
          const [group] = call.positionals;
          const value = await askVpn<ListedRoutes>(call, "vpn-routes", { group });
          return { text: routesText(value), value };
        },
      },
    ],
  },
  {
    name: "kick",
    summary: "end VPN sessions now; their clients have to log in again",
    options,
    positionals: [{ name: "who", summary: "a session's id, a user or a device" }],
    async run(call) {
      const [who] = call.positionals;
      const value = await askVpn<{ ended: number }>(call, "vpn-kick", { who });
      if (value.ended === 0) {
        return { text: `no session of ${who}: see vpn sessions`, value, exitCode: EXIT_FAILED };
      }
      return { text: `${value.ended} sessions of ${who} ended`, value };
    },
  },
  {
    name: "bans",
    summary: "addresses and accounts that failed to log in too often",
    commands: [
      {
        name: "list",
        summary: "list them with the time that is left, and who is on the way to a ban",
        options,
        async run(call) {
          const value = await askVpn<ListedBans>(call, "vpn-bans");
          const lines = [...value.bans.map(banText), ...value.near.map(nearText)];
          const counts = `${value.total} banned, ${value.nearTotal} on the way to it`;
          return { text: [...lines, counts].join("\n"), value };
        },
      },
      {
        name: "clear",
        summary: "forgive one, and the points that have not become a ban yet",
        options: { ...options, all: { type: "boolean", summary: "forgive everybody" } },
        positionals: [{ name: "who", summary: "an address or an account", isOptional: true }],
        async run(call) {
          const [key] = call.positionals;
          if ((key === undefined) !== call.flag("all")) {
            throw new UsageError("bans clear needs an address or an account, or --all");
          }
          const value = await askVpn<{ cleared: number }>(call, "vpn-bans-clear", { key });
          if (value.cleared === 0 && key !== undefined) {
            const text = `nothing to forgive ${key}: see bans list`;
            return { text, value, exitCode: EXIT_FAILED };
          }
          return { text: `${value.cleared} forgiven`, value };
        },
      },
    ],
  },
];

function routesText(value: ListedRoutes): string {
  const { routesInclude, routesExclude, dnsServers, splitDns } = value;
  const list = (texts: readonly string[], none: string) => texts.join(", ") || none;
  return [
    `group: ${value.group}`,
    `through the tunnel: ${list(routesInclude, "everything")}`,
    `beside the tunnel: ${list(routesExclude, "nothing")}`,
    `name servers: ${list(dnsServers, "none")}`,
    `default domain: ${value.defaultDomain ?? "none"}`,
    `names asked there: ${list(splitDns, "all")}`,
    `MTU: ${value.mtu ?? "what fits the path"}`,
    `DTLS: ${value.udp ? "offered" : "not offered"}`,
  ].join("\n");
}

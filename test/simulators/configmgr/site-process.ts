import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { startGssAcceptor } from "../adcs/gss-acceptor.ts";
import type { Change } from "./changes.ts";
import type { FaultRule } from "./faults.ts";
import { type Backup, type Site, startSite } from "./site.ts";
import type { Limits, SiteOptions } from "./site-options.ts";

/**
 * The site as a process of its own: `node site-process.ts '<options as JSON>'`, port 8444 unless they say another. Options as
 * in SiteOptions, and: `caFile`, where the authority's certificate is written to; `clock` as `{"startMs": n, "rate": n}` for
 * one that starts there and runs so many times as fast; `kerberos` for tickets in place of `negotiate`. It prints `ready <url>`, then takes
 * commands on standard input, one JSON array `[name, ...arguments]` a line, and answers each with a line of JSON.
 */
interface ProcessOptions extends Omit<SiteOptions, "clock"> {
  readonly caFile?: string;
  readonly clock?: { readonly startMs: number; readonly rate?: number };
  readonly kerberos?: { readonly keytabFile: string; readonly krb5ConfigFile: string };
}

type Command = readonly [name: string, ...given: unknown[]];

const {
  caFile,
  clock: asked,
  kerberos,
  ...options
} = JSON.parse(process.argv[2] ?? "{}") as ProcessOptions;
const clock = asked === undefined ? undefined : steerable(asked);
const site = await startSite({
  port: 8444,
  ...options,
  ...(clock !== undefined && { clock }),
  ...(kerberos !== undefined && { negotiate: startGssAcceptor(kerberos) }),
});
if (caFile !== undefined) writeFileSync(caFile, site.caPem);
process.stdout.write(`ready ${site.url}\n`);

const lines = createInterface(process.stdin);
let backup: Backup | undefined;
lines.on("line", (line) => {
  const answer = attempt(line);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});

function attempt(line: string): unknown {
  try {
    return { result: carryOut(site, JSON.parse(line) as Command) ?? null };
  } catch (error) {
    return { error: String(error) };
  }
}

function carryOut(of: Site, [name, argument, ...more]: Command): unknown {
  switch (name) {
    case "change":
      return of.change(argument as Change);
    case "applicationComesTo":
      return of.state.applicationComesTo(
        ...([argument, ...more] as Parameters<Site["state"]["applicationComesTo"]>),
      );
    case "changes":
      return of.changes();
    case "executions":
      return of.executions();
    case "repeated":
      return Object.fromEntries(of.repeated());
    case "requests":
      return of.requests();
    case "load":
      return of.load();
    case "fault":
      return void of.fault(argument as FaultRule);
    case "strikes":
      return Object.fromEntries(of.strikes());
    case "clearFaults":
      return of.clearFaults();
    case "limit":
      return of.limit(argument as Limits);
    case "skewClock":
      return of.skewClock(Number(argument));
    case "narrow":
      return of.narrow(Number(argument));
    case "advance":
      return clock?.advance(Number(argument));
    case "backup":
      backup = of.backup();
      return undefined;
    case "restore":
      return backup && of.restore(backup);
    case "mostInFlight":
      return of.mostInFlight();
    case "resources":
      return { cpu: process.cpuUsage(), rssBytes: process.memoryUsage.rss() };
    default:
      throw new Error(`unknown command ${name}`);
  }
}

function steerable({ startMs, rate = 1 }: { readonly startMs: number; readonly rate?: number }) {
  const began = performance.now();
  let ahead = 0;
  return {
    now: () => Math.floor(startMs + (performance.now() - began) * rate + ahead),
    advance: (ms: number) => {
      ahead += ms;
    },
  };
}

import { Resolver as DnsResolver } from "node:dns/promises";
import { ConnectorError } from "@isthmus/shared/errors";
import { type IpAddress, parseAddress } from "../core/ip-address.ts";
import type { Resolver } from "../core/ports.ts";

/** Own limits: addresses used of one name, and queries under way at once. */
const MAX_ADDRESSES = 16;
const MAX_QUERIES = 1_000;
const ATTEMPT_TIMEOUT_MS = 2_000;
const ATTEMPTS = 2;

const NOT_FOUND: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);
const TIMED_OUT: ReadonlySet<string> = new Set(["ETIMEOUT", "ECANCELLED"]);

/**
 * Asks the DNS for A and AAAA records; `hosts` are answered without asking. Not getaddrinfo: it would occupy one of
 * libuv's few threads for as long as a name server keeps silent, and it reads numbers as addresses.
 */
export function dnsResolver(options: {
  readonly hosts: Readonly<Record<string, string>>;
  readonly servers?: readonly string[] | undefined;
}): Resolver {
  const hosts = new Map(
    Object.entries(options.hosts).map(([name, text]) => [name.toLowerCase(), text]),
  );
  let queries = 0;

  async function ask(name: string, signal: AbortSignal): Promise<readonly IpAddress[]> {
    if (queries >= MAX_QUERIES) throw failed("dns-failed", "too many name queries are under way");
    const resolver = new DnsResolver({ timeout: ATTEMPT_TIMEOUT_MS, tries: ATTEMPTS });
    if (options.servers) resolver.setServers([...options.servers]);
    const cancel = () => resolver.cancel();
    signal.addEventListener("abort", cancel);
    queries += 1;
    try {
      const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
      return addressesOf(answers);
    } finally {
      queries -= 1;
      signal.removeEventListener("abort", cancel);
    }
  }

  return {
    async resolve(name, signal) {
      const host = parseAddress(hosts.get(name) ?? "");
      return host ? [host] : ask(name, signal);
    },
  };
}

function addressesOf(answers: readonly PromiseSettledResult<string[]>[]): readonly IpAddress[] {
  const texts = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  const addresses = texts.map(parseAddress).filter((address) => address !== undefined);
  if (addresses.length > 0) return addresses.slice(0, MAX_ADDRESSES);
  const codes = answers.map((answer) =>
    answer.status === "rejected" ? codeOf(answer.reason) : "",
  );
  // One family without records says nothing about the other, so a failure of either counts before absence.
  if (codes.some((code) => TIMED_OUT.has(code))) {
    throw failed("dns-timeout", "the name servers did not answer in time");
  }
  if (codes.every((code) => code === "" || NOT_FOUND.has(code))) {
    throw new ConnectorError("dns-not-found", "the name has no address");
  }
  throw failed("dns-failed", "the name servers failed to answer");
}

function codeOf(reason: unknown): string {
  return (reason as NodeJS.ErrnoException).code ?? "unknown";
}

function failed(code: string, message: string): ConnectorError {
  return new ConnectorError(code, message, { isRetryable: true });
}

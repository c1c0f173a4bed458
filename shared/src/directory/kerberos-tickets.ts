import { readFileSync } from "node:fs";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { type CachedCredential, parseCredentialCache } from "../protocol/credential-cache.ts";
import { negotiateToken } from "../protocol/kerberos-request.ts";

/** A ticket is not used in its last minutes: the server's clock may be ahead. */
const MARGIN_MS = 5 * 60_000;
const FILE_CACHE = /^(?:FILE:)?(\/.*)$/;

/** What is used of the optional package `kerberos`. */
interface KerberosPackage {
  readonly GSS_MECH_OID_SPNEGO: number;
  initializeClient(
    service: string,
    options: { readonly mechOID: number; readonly principal?: string },
  ): Promise<{ step(challenge: string): Promise<string> }>;
}

export interface KerberosTicketsParts {
  /** The account we are, `isthmus@EXAMPLE.COM`; the keytab's or cache's first where absent. */
  readonly principal: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Tickets for web servers, fetched and kept by the machine's Kerberos library under KRB5_CLIENT_KTNAME (the keytab) and
 * KRB5CCNAME (a cache in a file). The library's own first token is not used: the package that reaches it has no way to
 * hand over channel bindings, which AD CS demands. Its ticket is read from the cache, and the token made here.
 */
export class KerberosTickets {
  readonly #parts: KerberosTicketsParts;
  readonly #tickets = new Map<string, CachedCredential>();

  constructor(parts: KerberosTicketsParts) {
    this.#parts = parts;
  }

  /**
   * The value of an `Authorization` header for one request. Throws ConnectorError `kerberos-unavailable`,
   * `kerberos-credentials`, `kerberos-cache`; ProtocolError `kerberos-key`, `credential-cache`.
   */
  async authorization(host: string, channel: Uint8Array | undefined): Promise<string> {
    const { clock, random } = this.#parts;
    const token = negotiateToken({
      credential: await this.#ticketFor(host.toLowerCase()),
      channel,
      now: clock.now(),
      microseconds: random.bytes(4).readUInt32BE() % 1_000_000,
      confounder: random.bytes(16),
    });
    return `Negotiate ${token.toString("base64")}`;
  }

  async #ticketFor(host: string): Promise<CachedCredential> {
    const until = this.#parts.clock.now() + MARGIN_MS;
    const kept = this.#tickets.get(host);
    if (kept !== undefined && kept.endsAt > until) return kept;
    await this.#fetch(host);
    const found = this.#credentialIn(readCache(), host);
    this.#tickets.set(host, found);
    return found;
  }

  async #fetch(host: string): Promise<void> {
    const kerberos = await loadKerberos();
    const { principal } = this.#parts;
    const options = {
      mechOID: kerberos.GSS_MECH_OID_SPNEGO,
      ...(principal !== undefined && { principal }),
    };
    try {
      const client = await kerberos.initializeClient(`HTTP@${host}`, options);
      await client.step("");
    } catch (cause) {
      throw new ConnectorError(
        "kerberos-credentials",
        `no Kerberos ticket for HTTP/${host}: ${wordsOf(cause)}; check the keytab, krb5.conf, the clock and that the server's account has this service principal name`,
        { cause, isRetryable: true },
      );
    }
  }

  /** The newest of them: the library leaves older ones in the cache. */
  #credentialIn(credentials: readonly CachedCredential[], host: string): CachedCredential {
    const [newest] = credentials
      .filter(({ server }) => isFor(server.components, host))
      .sort((left, right) => right.endsAt - left.endsAt);
    if (newest !== undefined) return newest;
    throw new ConnectorError(
      "kerberos-cache",
      `the credential cache has no ticket for HTTP/${host}`,
    );
  }
}

function isFor([service, name]: readonly string[], host: string): boolean {
  return service === "HTTP" && name?.toLowerCase() === host;
}

function readCache(): CachedCredential[] {
  const name = process.env["KRB5CCNAME"] ?? "";
  const [, file] = FILE_CACHE.exec(name) ?? [];
  if (file === undefined) {
    throw new ConnectorError(
      "kerberos-cache",
      `KRB5CCNAME is "${name}"; it has to name a file, e.g. FILE:/run/isthmus/krb5cc`,
    );
  }
  try {
    return parseCredentialCache(readFileSync(file));
  } catch (cause) {
    if (cause instanceof ConnectorError) throw cause;
    throw new ConnectorError("kerberos-cache", `the credential cache ${file} cannot be read`, {
      cause,
    });
  }
}

/** Optional, as it is built on the machine from the system's own library. */
async function loadKerberos(): Promise<KerberosPackage> {
  try {
    const { default: loaded } = (await import("kerberos")) as unknown as {
      default: KerberosPackage;
    };
    return loaded;
  } catch (cause) {
    throw new ConnectorError(
      "kerberos-unavailable",
      "the package kerberos is not installed: install libkrb5-dev and a C++ compiler, then run npm install again",
      { cause },
    );
  }
}

/** The library's own words, which name principals and hosts but no secret. */
function wordsOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 300);
}

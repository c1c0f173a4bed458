import { readFileSync } from "node:fs";
import type { Clock } from "../clock.ts";
import { ConnectorError } from "../errors.ts";
import type { Random } from "../random.ts";
import { type CachedCredential, parseCredentialCache } from "./kerberos-credential-cache.ts";
import { keytabWords, removeOwnCache } from "./kerberos-environment.ts";
import { type KerberosReply, parseKerberosReply, requireProof } from "./kerberos-reply.ts";
import { negotiateToken } from "./kerberos-request.ts";

/** A ticket is not used in its last minutes: the server's clock may be ahead. */
const MARGIN_MS = 5 * 60_000;
/** Own limit: a ticket that a server refused is asked for anew so often at most. */
const RENEW_EVERY_MS = 60_000;
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
  /** `() => import("kerberos")`: an optional dependency of the service, not of ours. */
  readonly load: () => Promise<unknown>;
}

/** A ticket for one server, and the requests that it is shown in. */
export interface KerberosTicket {
  /** Bound to a TLS channel where one is given. */
  request(of: {
    readonly channel: Uint8Array | undefined;
    readonly isMutual: boolean;
  }): KerberosRequest;
  /** The server refused it: the next one is fetched anew, as the server's key may have changed since. */
  forget(): void;
}

export interface KerberosRequest {
  /** The value of an `Authorization` header. */
  readonly authorization: string;
  /**
   * Reads the server's token and checks what it proves. Throws ProtocolError `kerberos-reply` for one that is malformed or proves
   * nothing.
   */
  read(token: Buffer): KerberosReply;
}

/**
 * Tickets for web servers, fetched and kept by the machine's Kerberos library under KRB5_CLIENT_KTNAME (the keytab) and
 * KRB5CCNAME (a cache in a file). The library's own first token is not used: the package that reaches it has no way to
 * hand over channel bindings, which AD CS demands. Its ticket is read from the cache, and the token made here.
 */
export class KerberosTickets {
  readonly #parts: KerberosTicketsParts;
  readonly #tickets = new Map<string, CachedCredential>();
  /** One fetch for a host at a time: each takes a thread for as long as the KDC lets it wait. */
  readonly #fetching = new Map<string, Promise<CachedCredential>>();
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: KerberosTicketsParts) {
    this.#parts = parts;
  }

  /**
   * A ticket for `HTTP/host`, which is not resolved or made canonical. Throws ConnectorError `kerberos-unavailable`,
   * `kerberos-credentials`, `kerberos-cache`; ProtocolError `credential-cache`.
   */
  async ticketFor(host: string): Promise<KerberosTicket> {
    const name = host.toLowerCase();
    const credential = await this.#credentialFor(name);
    return {
      request: (of) => this.#request(credential, of),
      forget: () => this.#forget(name, credential),
    };
  }

  /** The value of an `Authorization` header for one request. Throws as `ticketFor` and `request` do. */
  async authorization(host: string, channel: Uint8Array | undefined): Promise<string> {
    const ticket = await this.ticketFor(host);
    return ticket.request({ channel, isMutual: false }).authorization;
  }

  #request(
    credential: CachedCredential,
    of: { readonly channel: Uint8Array | undefined; readonly isMutual: boolean },
  ): KerberosRequest {
    const { clock, random } = this.#parts;
    const at = { now: clock.now(), microseconds: random.bytes(4).readUInt32BE() % 1_000_000 };
    const token = negotiateToken({ ...of, ...at, credential, confounder: random.bytes(16) });
    return {
      authorization: `Negotiate ${token.toString("base64")}`,
      read(answer) {
        const reply = parseKerberosReply(answer);
        if (reply.kind === "proof") requireProof(reply.cipher, credential, at);
        return reply;
      },
    };
  }

  async #credentialFor(host: string): Promise<CachedCredential> {
    const kept = this.#tickets.get(host);
    if (kept !== undefined && kept.endsAt > this.#parts.clock.now() + MARGIN_MS) return kept;
    const fetching = this.#fetching.get(host) ?? this.#startFetching(host);
    return await fetching;
  }

  #startFetching(host: string): Promise<CachedCredential> {
    const fetching = this.#fetch(host).finally(() => this.#fetching.delete(host));
    this.#fetching.set(host, fetching);
    return fetching;
  }

  async #fetch(host: string): Promise<CachedCredential> {
    await this.#askLibrary(host);
    const found = credentialIn(readCache(), host);
    this.#tickets.set(host, found);
    return found;
  }

  async #askLibrary(host: string): Promise<void> {
    const kerberos = await this.#load();
    const { principal } = this.#parts;
    const options = {
      mechOID: kerberos.GSS_MECH_OID_SPNEGO,
      ...(principal !== undefined && { principal }),
    };
    try {
      const client = await kerberos.initializeClient(`HTTP@${host}`, options);
      await client.step("");
    } catch (cause) {
      const { fault, remedy = "check the keytab" } = keytabWords(principal);
      const why =
        fault ??
        `${wordsOf(cause)}; ${remedy}; check krb5.conf, the clock and that the server's account has this service principal name`;
      throw new ConnectorError(
        "kerberos-credentials",
        `no Kerberos ticket for HTTP/${host}: ${why}`,
        { cause, isRetryable: true },
      );
    }
  }

  #forget(host: string, credential: CachedCredential): void {
    const now = this.#parts.clock.now();
    if (this.#tickets.get(host) !== credential || now - this.#renewedAt < RENEW_EVERY_MS) return;
    this.#renewedAt = now;
    // The library would take the refused ticket out of its cache again.
    if (removeOwnCache()) this.#tickets.delete(host);
  }

  /** Optional, as it is built on the machine from the system's own library. */
  async #load(): Promise<KerberosPackage> {
    try {
      return ((await this.#parts.load()) as { default: KerberosPackage }).default;
    } catch (cause) {
      throw new ConnectorError(
        "kerberos-unavailable",
        "the package kerberos, or MIT's library (libgssapi-krb5-2) that it needs, is not there: install libkrb5-dev and a C++ compiler, then run `npm rebuild kerberos`; the images of deploy have both, so build an older one anew",
        { cause },
      );
    }
  }
}

/** The newest of them: the library leaves older ones in the cache. */
function credentialIn(credentials: readonly CachedCredential[], host: string): CachedCredential {
  const [newest] = credentials
    .filter(({ server }) => isFor(server.components, host))
    .sort((left, right) => right.endsAt - left.endsAt);
  if (newest !== undefined) return newest;
  throw new ConnectorError(
    "kerberos-cache",
    `the credential cache has no ticket for HTTP/${host}: set rdns = false and dns_canonicalize_hostname = false in krb5.conf, so that the library asks for this very name`,
  );
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

/** The library's own words, which name principals and hosts but no secret. */
function wordsOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 300);
}

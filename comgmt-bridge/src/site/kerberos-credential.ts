import type { Clock } from "@isthmus/shared/clock";
import type { KerberosReply } from "@isthmus/shared/directory/kerberos-reply";
import type {
  KerberosRequest,
  KerberosTicket,
  KerberosTickets,
} from "@isthmus/shared/directory/kerberos-tickets";
import { ConnectorError } from "@isthmus/shared/errors";
import { tlsServerEndPoint } from "@isthmus/shared/x509/channel-binding";
import type { RawAnswer } from "./site-connection.ts";
import type { PresentedCredential, SiteCredential } from "./site-credential.ts";

/** RFC 4559 section 4.1: the server's token, alone or among other schemes. */
const NEGOTIATE = /(?:^|,\s*)Negotiate +([A-Za-z0-9+/]+=*)\s*(?:,|$)/i;
/** What a domain's machines may be apart, unless its policy says otherwise. */
const MAX_SKEW_MS = 5 * 60_000;

/** RFC 4120 section 7.5.9: what a server may have against a ticket. */
const CLOCK_SKEW = 37;
const REFUSALS: Readonly<Record<number, string>> = {
  31: "its key does not open the ticket",
  32: "the ticket has ended",
  33: "the ticket is not valid yet",
  34: "it has seen this very request before",
  35: "the ticket is for another server",
  41: "its key does not open the ticket",
  44: "the ticket was made for an older key",
  45: "it has no key for the ticket",
};

export interface KerberosCredentialParts {
  readonly tickets: Pick<KerberosTickets, "ticketFor">;
  /** Whether a ticket holds for the one TLS connection; off where something else ends TLS in front of the provider. */
  readonly isChannelBound: boolean;
  readonly clock: Clock;
}

/**
 * A ticket for `HTTP/host` with each request, in a SPNEGO token that names Kerberos alone: there is no falling back to NTLM. The host
 * is the one of `site.url`; redirects are not followed, so nobody else sees a token.
 */
export function kerberosCredential(parts: KerberosCredentialParts): SiteCredential {
  return {
    basePath: "/AdminService/",
    async present(host) {
      return presented(await parts.tickets.ticketFor(host), host, parts);
    },
  };
}

function presented(
  ticket: KerberosTicket,
  host: string,
  { isChannelBound, clock }: KerberosCredentialParts,
): PresentedCredential {
  let request: KerberosRequest | undefined;
  return {
    authorization(certificate) {
      const isBound = isChannelBound && certificate !== undefined;
      const channel = isBound ? tlsServerEndPoint(certificate) : undefined;
      request = ticket.request({ channel, isMutual: true });
      return request.authorization;
    },
    judge({ status, headers }) {
      const [, token] = NEGOTIATE.exec(headers["www-authenticate"] ?? "") ?? [];
      if (status === 401) {
        ticket.forget();
        const error = errorIn(request, token);
        throw refusal(host, error, (error?.serverTime ?? dateOf(headers, clock)) - clock.now());
      }
      if (token !== undefined) requireProven(host, request, token);
    },
  };
}

/** A server need not prove itself by its ticket, as TLS has done so; but a wrong proof is one too many. */
function requireProven(host: string, request: KerberosRequest | undefined, token: string): void {
  try {
    const reply = request?.read(Buffer.from(token, "base64"));
    if (reply?.kind !== "error") return;
  } catch (cause) {
    throw new ConnectorError(
      "site-server-unproven",
      `${host} answers our ticket with a token that does not prove it: it is not the server that the domain knows as HTTP/${host}, or something in between changes answers`,
      { cause },
    );
  }
  throw new ConnectorError("site-server-unproven", `${host} answers with an error and a success`);
}

/** What the refusal says in Kerberos' own terms, where it says anything. */
function errorIn(request: KerberosRequest | undefined, token: string | undefined) {
  if (request === undefined || token === undefined) return undefined;
  try {
    const reply = request.read(Buffer.from(token, "base64"));
    return reply.kind === "error" ? reply : undefined;
  } catch {
    return undefined;
  }
}

/** The server's clock, from the answer's own date; ours where it has none. */
function dateOf(headers: RawAnswer["headers"], clock: Clock): number {
  const date = Date.parse(headers["date"] ?? "");
  return Number.isFinite(date) ? date : clock.now();
}

/** `offsetMs` is how far the server's clock is ahead. */
function refusal(
  host: string,
  error: Extract<KerberosReply, { kind: "error" }> | undefined,
  offsetMs: number,
): ConnectorError {
  if (error?.errorCode === CLOCK_SKEW || Math.abs(offsetMs) > MAX_SKEW_MS) {
    const seconds = Math.round(Math.abs(offsetMs) / 1_000);
    const direction = offsetMs > 0 ? "ahead of" : "behind";
    return new ConnectorError(
      "site-clock-skew",
      `the clock of ${host} is ${seconds} s ${direction} ours, and Kerberos allows five minutes: it refuses our tickets; synchronise both with the domain's clock (NTP)`,
    );
  }
  const why = error && (REFUSALS[error.errorCode] ?? `Kerberos error ${error.errorCode}`);
  const said = why === undefined ? "" : `: ${why}`;
  return new ConnectorError(
    "site-ticket-refused",
    `${host} does not accept our ticket for HTTP/${host}${said}; see that this service principal name is on the account that the SMS provider's web service runs as (the computer's own, unless changed) and on no other (setspn -X), and that our account is an administrative user of the site`,
  );
}

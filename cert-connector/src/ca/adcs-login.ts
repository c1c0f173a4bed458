import type { KerberosTickets } from "@isthmus/shared/directory/kerberos-tickets";
import type { OutboundConnection, OutboundRequest } from "@isthmus/shared/kernel/outbound-http";
import { tlsServerEndPoint } from "@isthmus/shared/x509/channel-binding";
import { unavailable } from "./remote-answer.ts";

/** How we show who we are to AD CS: a Kerberos token for each request, or a password over TLS. */
export type AdcsLogin =
  | {
      readonly method: "kerberos";
      readonly tickets: KerberosTickets;
      /** Off only for a server in front of which something else ends TLS. */
      readonly channelBinding: boolean;
    }
  | { readonly method: "basic"; readonly user: string; readonly password: () => string };

/** What makes the `Authorization` header of a request. */
export function authorizationOf(login: AdcsLogin): NonNullable<OutboundRequest["authorize"]> {
  return async (connection) => {
    if (login.method === "basic") return basic(login);
    const channel = login.channelBinding ? channelOf(connection) : undefined;
    return await login.tickets.authorization(connection.host, channel);
  };
}

function basic({ user, password }: Extract<AdcsLogin, { method: "basic" }>): string {
  return `Basic ${Buffer.from(`${user}:${password()}`, "utf8").toString("base64")}`;
}

/** Without TLS, which is on this machine only, there is no channel to bind to. */
function channelOf({ host, serverCertificate }: OutboundConnection): Buffer | undefined {
  if (serverCertificate === undefined) return undefined;
  try {
    return tlsServerEndPoint(serverCertificate);
  } catch (cause) {
    throw unavailable(`the TLS certificate of ${host} cannot be read for channel binding`, cause);
  }
}

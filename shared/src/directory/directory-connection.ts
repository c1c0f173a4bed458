import { connect as connectTcp, isIP } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { Client } from "ldapts";

/** How to get to one directory. */
export interface DirectoryAddress {
  readonly name: string;
  /** Tried in their order. */
  readonly urls: readonly string[];
  /** PEM; the public CAs where it is absent. */
  readonly ca?: string | undefined;
  readonly startTls: boolean;
  readonly bindDn: string;
  /** Read for each connection, so that a changed password counts without a restart. */
  readonly password: () => string;
  readonly timeoutMs: number;
}

/** A connection that is encrypted and bound. Throws what ldapts throws, of the last URL. */
export async function connectToDirectory(address: DirectoryAddress): Promise<Client> {
  let failure: unknown;
  for (const url of address.urls) {
    const client = clientFor(url, address);
    try {
      if (url.startsWith("ldap:") && address.startTls)
        await client.startTLS(tlsOptions(url, address));
      await client.bind(address.bindDn, address.password());
      return client;
    } catch (error) {
      failure = error;
      await client.unbind().catch(() => undefined);
    }
  }
  throw failure;
}

/**
 * ldapts opens a lost connection again by itself, and then neither binds nor upgrades it: the next search would go in the
 * clear and as nobody. So each client connects once, and a lost one is replaced whole.
 */
function clientFor(url: string, address: DirectoryAddress): Client {
  const { timeoutMs } = address;
  return new Client({
    url,
    timeout: timeoutMs,
    connectTimeout: timeoutMs,
    // With these ldapts speaks TLS from the first byte, whatever the URL says.
    ...(url.startsWith("ldaps:") && { tlsOptions: tlsOptions(url, address) }),
    createConnection: once(connectTcp),
    createSecureConnection: once(connectTls),
  });
}

function once<F extends (...words: never[]) => unknown>(connect: F): F {
  let isUsed = false;
  const guarded = (...words: never[]) => {
    if (isUsed) throw new Error("the connection was lost");
    isUsed = true;
    return connect(...words);
  };
  return guarded as unknown as F;
}

function tlsOptions(url: string, { ca }: DirectoryAddress): ConnectionOptions {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  return {
    host,
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca }),
    minVersion: "TLSv1.2",
  };
}

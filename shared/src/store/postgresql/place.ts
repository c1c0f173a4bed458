import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConnectorError } from "../../errors.ts";

/** Where a replica's store is in PostgreSQL. The address holds a password, so it comes as a file. */
export interface PostgresqlPlace {
  /** Holds `postgresql://role:password@host:5432/database`; with `?host=/run/postgresql` a Unix socket in that folder is used. */
  readonly urlFile: string;
  /** The authorities that the server's certificate is checked by; the system's where absent. */
  readonly caFile?: string | undefined;
  /** This replica's own name: 1 to 32 lower-case letters, digits and underscores. Two never share one. */
  readonly replica: string;
}

/** What the driver is told. */
export interface ConnectionSettings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly ssl: false | { readonly rejectUnauthorized: true; readonly ca?: string };
}

/** What all replicas share. */
export const SHARED_SCHEMA = "isthmus_ledger";
export const REPLICA_NAME = /^[a-z0-9][a-z0-9_]{0,31}$/;
const DEFAULT_PORT = 5_432;
const MAX_URL_CHARACTERS = 4_096;
const KNOWN_PARAMETERS: readonly string[] = ["host", "sslmode"];

/** The schema of what belongs to one replica: its audit, its lanes, its limits. */
export function ownSchema({ replica }: PostgresqlPlace): string {
  return `isthmus_replica_${replica}`;
}

/** Locks of all replicas on one database are told apart by number: 63 bits of a hash of what is locked. */
export function lockNumber(what: string): string {
  const digest = createHash("sha256").update(`isthmus ${what}`).digest();
  return (digest.readBigInt64BE(0) >> 1n).toString();
}

/** For messages: where it is, without role or password. */
export function describePlace(place: PostgresqlPlace): string {
  try {
    const { host, port, database } = connectionSettings(place);
    return `PostgreSQL database ${database} at ${host}:${port} (replica ${place.replica})`;
  } catch {
    return `PostgreSQL of ${place.urlFile} (replica ${place.replica})`;
  }
}

/**
 * Reads the files anew, so that a changed password counts at the next connection.
 *
 * @throws ConnectorError `store-address`, which never repeats what the file holds.
 */
export function connectionSettings({ urlFile, caFile }: PostgresqlPlace): ConnectionSettings {
  const url = parsedUrl(readText(urlFile).trim(), urlFile);
  const unknown = [...url.searchParams.keys()].find((key) => !KNOWN_PARAMETERS.includes(key));
  if (unknown !== undefined) throw fault(urlFile, `the parameter "${unknown}" is not known`);
  const socketFolder = url.searchParams.get("host");
  const host = socketFolder ?? url.hostname.replace(/^\[|\]$/g, "");
  const user = decodeURIComponent(url.username);
  const database = decodeURIComponent(url.pathname.slice(1));
  if (host === "" || user === "" || database === "") {
    throw fault(urlFile, "host, role and database have to be named");
  }
  return {
    host,
    port: url.port === "" ? DEFAULT_PORT : Number(url.port),
    user,
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
    database,
    ssl: isPlain(url, host, urlFile) ? false : encrypted(caFile),
  };
}

/** Unencrypted only where nothing leaves the machine, or where the address says so. */
function isPlain(url: URL, host: string, urlFile: string): boolean {
  const mode = url.searchParams.get("sslmode");
  if (mode === "disable") return true;
  if (mode !== null && mode !== "verify-full") {
    throw fault(urlFile, `sslmode=${mode}: expected verify-full or disable`);
  }
  return mode === null && (host.startsWith("/") || /^(127\.|::1$|localhost$)/.test(host));
}

function encrypted(caFile: string | undefined) {
  const verified = { rejectUnauthorized: true } as const;
  return caFile === undefined ? verified : { ...verified, ca: readText(caFile) };
}

function parsedUrl(text: string, urlFile: string): URL {
  try {
    if (text.length > MAX_URL_CHARACTERS) throw new TypeError("too long");
    const url = new URL(text);
    if (url.protocol === "postgresql:" || url.protocol === "postgres:") return url;
  } catch {
    // What does not parse is told without its text: it may hold a password.
  }
  throw fault(urlFile, "expected postgresql://role:password@host:port/database");
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConnectorError("store-address", `${file} cannot be read`, { cause });
  }
}

function fault(urlFile: string, why: string): ConnectorError {
  return new ConnectorError("store-address", `the database address in ${urlFile}: ${why}`);
}

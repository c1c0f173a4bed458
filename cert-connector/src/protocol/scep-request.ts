import { ProtocolError } from "@isthmus/shared/errors";

/** The operations of SCEP over HTTP (RFC 8894 section 4). The message of a POST is its body. */
export type ScepOperation =
  | { readonly operation: "GetCACaps" | "GetCACert" | "GetNextCACert" }
  | { readonly operation: "PKIOperation"; readonly message: Buffer | undefined };

/** Our own limit: a message of 24 KiB in base64 with every third character escaped. */
const MAX_QUERY_CHARACTERS = 65_536;

const OPERATIONS = ["GetCACaps", "GetCACert", "GetNextCACert"] as const;

/**
 * Reads the query string of a SCEP request, without its `?`. Throws `scep-query`.
 *
 * Not by URLSearchParams: macOS sends the base64 of a message with `+` and `/` as they are, and `+` is then no space.
 * Identifiers of a CA in `message` (certmonger numbers them from 0) are passed over: there is one CA behind a path.
 */
export function parseScepQuery(query: string): ScepOperation {
  if (query.length > MAX_QUERY_CHARACTERS) {
    throw fault(`${query.length} characters exceed ${MAX_QUERY_CHARACTERS}`);
  }
  const parameters = readParameters(query);
  const wanted = parameters.get("operation")?.toLowerCase();
  const operation = OPERATIONS.find((name) => name.toLowerCase() === wanted);
  if (operation !== undefined) return { operation };
  if (wanted !== "pkioperation") throw fault("the operation is not one of SCEP");
  const message = parameters.get("message");
  return { operation: "PKIOperation", message: message ? decodeBase64(message) : undefined };
}

function readParameters(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split("&")) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).toLowerCase();
    if (name === "") continue;
    if (parameters.has(name)) throw fault(`a parameter comes twice`);
    parameters.set(name, equals < 0 ? "" : decodePercent(part.slice(equals + 1)));
  }
  return parameters;
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new ProtocolError("scep-query", "SCEP query: a % escape is broken", cause);
  }
}

/** A space was a `+` before somebody on the way unescaped it; line breaks come from encoders made for mail. */
function decodeBase64(text: string): Buffer {
  const base64 = text.replace(/[\r\n]/g, "").replaceAll(" ", "+");
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw fault("the message is not base64");
  return Buffer.from(base64, "base64");
}

/** Keywords of GetCACaps (RFC 8894 section 3.5.2). */
export const CAPABILITIES = [
  "AES",
  "DES3",
  "GetNextCACert",
  "POSTPKIOperation",
  "Renewal",
  "SHA-1",
  "SHA-256",
  "SHA-512",
  "SCEPStandard",
  "Update",
] as const;
export type Capability = (typeof CAPABILITIES)[number];

/**
 * The answer to GetCACaps. The empty line is for strongSwan 5.9.8 (strongswan/strongswan#1607), whose parser gives up on an
 * answer that has none; other clients pass over it.
 */
export function formatCapabilities(capabilities: readonly Capability[]): string {
  const [first, ...rest] = capabilities;
  return [first, "", ...rest, ""].join("\n");
}

/** The keywords that we know in an answer to GetCACaps; unknown ones are passed over. */
export function parseCapabilities(text: string): ReadonlySet<Capability> {
  const lines = text.slice(0, MAX_QUERY_CHARACTERS).split(/\r?\n/);
  const words = new Set(lines.map((line) => line.trim().toLowerCase()));
  return new Set(CAPABILITIES.filter((capability) => words.has(capability.toLowerCase())));
}

function fault(message: string): ProtocolError {
  return new ProtocolError("scep-query", `SCEP query: ${message}`);
}

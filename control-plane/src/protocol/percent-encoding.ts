import { ConnectorError } from "@isthmus/shared/errors";

const MAX_REPEATED = 12;

/**
 * Refuses the path and query of an address whose percent-encoding is broken (RFC 3986 section 2.1) or encodes no UTF-8, before anything
 * reads half of it. Throws `address-encoding`, which names the place.
 */
export function requirePercentEncoding(address: string): void {
  for (const encoded of address.matchAll(/(?:%[0-9A-Fa-f]{2})+|%/g)) {
    const [text] = encoded;
    if (isDecodable(text)) continue;
    const seen = address.slice(encoded.index, encoded.index + Math.max(3, text.length));
    throw new ConnectorError(
      "address-encoding",
      `The address has ${JSON.stringify(seen.slice(0, MAX_REPEATED))} at character ${encoded.index + 1}, which is no percent-encoded UTF-8; a percent sign itself is %25`,
    );
  }
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

import { ProtocolError } from "../errors.ts";

/** Our own limit on a PEM file: a bundle of some hundred certificates. */
const MAX_PEM_CHARACTERS = 4_194_304;

/**
 * The DER of every block with this label ("CERTIFICATE", "X509 CRL"...), in order; text between blocks is passed over
 * (RFC 7468). Throws `x509-pem` if a block is broken or there is none.
 */
export function pemToDer(pem: string, label: string): Buffer[] {
  if (pem.length > MAX_PEM_CHARACTERS) {
    throw fault(`${pem.length} characters exceed ${MAX_PEM_CHARACTERS}`);
  }
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`];
  const [, ...blocks] = pem.split(begin);
  if (blocks.length === 0) throw fault(`no ${label} block`);
  return blocks.map((block) => {
    const [body = "", rest] = block.split(end, 2);
    if (rest === undefined) throw fault(`a ${label} block has no end`);
    return decodeBody(body, label);
  });
}

function decodeBody(body: string, label: string): Buffer {
  const base64 = body.replace(/\s+/g, "");
  if (base64.length === 0 || base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw fault(`a ${label} block is not base64`);
  }
  return Buffer.from(base64, "base64");
}

/** One PEM block with lines of 64 characters and a final newline. */
export function derToPem(der: Uint8Array, label: string): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-pem", `PEM: ${message}`);
}

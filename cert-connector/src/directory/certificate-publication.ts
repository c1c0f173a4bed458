import { RESULT, resultCodeOf } from "@isthmus/shared/directory/directory-error";
import { ProtocolError } from "@isthmus/shared/errors";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { Attribute, Change, type Client, type Entry } from "ldapts";
import type { DirectoryPool } from "./directory-pool.ts";

/**
 * RFC 4523 section 2, in the form of Active Directory: octet strings, named without the option `;binary`, which its schema
 * does not know (and Samba's refuses).
 */
const USER_CERTIFICATE = "userCertificate";
const REVOCATION_LIST = "certificateRevocationList";
const LIST_CLASSES = ["top", "cRLDistributionPoint"];
/** Our own limit on what one account holds of one issuer: the newest, which covers a renewal on each of a few devices. */
const MAX_CERTIFICATES = 10;

/** Puts certificates and revocation lists into a directory. Each act may be repeated. */
export class CertificatePublication {
  readonly #pool: DirectoryPool;

  constructor(pool: DirectoryPool) {
    this.#pool = pool;
  }

  /**
   * Adds a certificate to an account, and takes off those of the same issuer that have expired or are too many. What
   * others have put there stays.
   */
  async add(entryDn: string, certificate: Uint8Array, now: number): Promise<void> {
    const added = parseCertificate(certificate);
    await this.#pool.run(async (client) => {
      const held = await heldBy(client, entryDn);
      const isThere = held.some(({ der }) => der.equals(added.der));
      const gone = outdated(held, added, now);
      const changes = [
        ...gone.map(({ der }) => change("delete", USER_CERTIFICATE, der)),
        ...(isThere ? [] : [change("add", USER_CERTIFICATE, added.der)]),
      ];
      if (changes.length > 0) await client.modify(entryDn, changes);
    });
  }

  /** Takes a certificate off an account; one that is not there, and an account that is gone, are no error. */
  async remove(entryDn: string, certificate: Uint8Array): Promise<void> {
    const der = Buffer.from(certificate);
    await this.#pool.run(async (client) => {
      try {
        await client.modify(entryDn, [change("delete", USER_CERTIFICATE, der)]);
      } catch (error) {
        const code = resultCodeOf(error);
        if (code !== RESULT.noSuchAttribute && code !== RESULT.noSuchObject) throw error;
      }
    });
  }

  /** Puts a revocation list in the place of the last one; the entry is made where it is missing. */
  async putList(entryDn: string, list: Uint8Array): Promise<void> {
    const der = Buffer.from(list);
    await this.#pool.run(async (client) => {
      try {
        await client.modify(entryDn, [change("replace", REVOCATION_LIST, der)]);
      } catch (error) {
        if (resultCodeOf(error) !== RESULT.noSuchObject) throw error;
        await client.add(entryDn, [
          new Attribute({ type: "objectClass", values: LIST_CLASSES }),
          attribute(REVOCATION_LIST, der),
        ]);
      }
    });
  }
}

async function heldBy(client: Client, entryDn: string): Promise<Certificate[]> {
  const { searchEntries } = await client.search(entryDn, {
    scope: "base",
    attributes: [USER_CERTIFICATE],
    explicitBufferAttributes: [USER_CERTIFICATE],
  });
  return valuesOf(searchEntries[0]).flatMap(readable);
}

function valuesOf(entry: Entry | undefined): Buffer[] {
  const value = entry?.[USER_CERTIFICATE] ?? [];
  const values: readonly (string | Buffer)[] = Array.isArray(value) ? value : [value];
  return values.filter((each) => Buffer.isBuffer(each));
}

/** What others have put there may be anything. */
function readable(der: Buffer): Certificate[] {
  try {
    return [parseCertificate(der)];
  } catch (error) {
    if (error instanceof ProtocolError) return [];
    throw error;
  }
}

function outdated(held: readonly Certificate[], added: Certificate, now: number): Certificate[] {
  const ours = held
    .filter(({ issuer, der }) => issuer.der.equals(added.issuer.der) && !der.equals(added.der))
    .sort((left, right) => right.notAfter - left.notAfter);
  return ours.filter(({ notAfter }, at) => notAfter < now || at >= MAX_CERTIFICATES - 1);
}

function change(operation: "add" | "delete" | "replace", type: string, der: Buffer): Change {
  return new Change({ operation, modification: attribute(type, der) });
}

function attribute(type: string, der: Buffer): Attribute {
  return new Attribute({ type, values: [der] });
}

import { ConnectorError } from "@isthmus/shared/errors";
import type { Pkcs12 } from "../protocol/pkcs12-reader.ts";

/**
 * Reads PFX files whose encryption our own reader leaves out, RC2 of old Windows above all, with node-forge: in the import
 * tool alone, where a person waits for one file and nobody else.
 */
export async function readForeignPfx(der: Uint8Array, password: string): Promise<Pkcs12> {
  const { default: forge } = await import("node-forge").catch((cause: unknown) => {
    throw new ConnectorError(
      "package-missing",
      "this file needs the package node-forge, which is not installed",
      { cause },
    );
  });
  const bytes = (value: string) => Buffer.from(value, "binary");
  const toDer = (value: Parameters<typeof forge.asn1.toDer>[0]) =>
    bytes(forge.asn1.toDer(value).getBytes());
  try {
    const asn1 = forge.asn1.fromDer(forge.util.createBuffer(Buffer.from(der).toString("binary")));
    const pfx = forge.pkcs12.pkcs12FromAsn1(asn1, false, password);
    const { pkcs8ShroudedKeyBag, keyBag, certBag } = forge.pki.oids;
    const bagsOf = (bagType: string | undefined) =>
      bagType === undefined ? [] : (pfx.getBags({ bagType })[bagType] ?? []);
    const namesOf = (attributes: { readonly friendlyName?: readonly string[] } | undefined) => ({
      friendlyName: attributes?.friendlyName?.[0],
      localKeyId: undefined,
    });
    return {
      keys: [...bagsOf(pkcs8ShroudedKeyBag), ...bagsOf(keyBag)].flatMap(
        ({ key, asn1: raw, attributes }) => {
          const info = key ? forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(key)) : raw;
          return [{ ...namesOf(attributes), privateKey: toDer(info) }];
        },
      ),
      certificates: bagsOf(certBag).flatMap(({ cert, asn1: raw, attributes }) => {
        const certificate = cert ? forge.pki.certificateToAsn1(cert) : raw;
        return [{ ...namesOf(attributes), certificate: toDer(certificate) }];
      }),
    };
  } catch (cause) {
    throw new ConnectorError(
      "pfx-unreadable",
      "the PFX cannot be read: the password does not fit, or the file is broken or of an unknown kind",
      { cause },
    );
  }
}

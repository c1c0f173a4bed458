import type { DerReader } from "./der-reader.ts";

/**
 * The dotted identifier of the AlgorithmIdentifier that comes next; its parameters are passed over but must be one whole
 * element at most.
 *
 *     AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY? }
 */
export function readAlgorithm(reader: DerReader): string {
  const body = reader.enter();
  const oid = body.readObjectIdentifier();
  if (!body.isAtEnd) body.skip();
  body.end();
  return oid;
}

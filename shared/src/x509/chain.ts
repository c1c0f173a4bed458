import { ProtocolError } from "../errors.ts";
import type { Certificate } from "./certificate.ts";
import type { GeneralName } from "./general-name.ts";
import { isSameName } from "./name.ts";
import { isNamePermitted } from "./name-constraints.ts";
import { OID } from "./object-identifiers.ts";
import { verify } from "./signature.ts";

/** Our own limits: what a peer may make us search and verify. */
const MAX_CHAIN_LENGTH = 8;
const MAX_SIGNATURES = 64;

/**
 * Whether `issuer` is a CA that signed `child`: names and key identifiers fit, basic constraints and key usage allow it,
 * the signature is right. Times, path lengths and name constraints are matters of a whole chain.
 */
export function verifyIssuedBy(child: Certificate, issuer: Certificate): boolean {
  return mayHaveIssued(child, issuer) && isSignedBy(child, issuer);
}

function mayHaveIssued(child: Certificate, issuer: Certificate): boolean {
  return (
    isSameName(child.issuer, issuer.subject) &&
    fitsKeyIdentifier(child, issuer) &&
    issuer.basicConstraints?.isCa === true &&
    (issuer.keyUsage?.includes("keyCertSign") ?? true)
  );
}

function fitsKeyIdentifier(child: Certificate, issuer: Certificate): boolean {
  const [wanted, own] = [child.authorityKeyIdentifier, issuer.subjectKeyIdentifier];
  return wanted === undefined || own === undefined || wanted.equals(own);
}

function isSignedBy(child: Certificate, issuer: Certificate): boolean {
  try {
    return verify(child.signatureAlgorithm, child.tbs, child.signature, issuer.publicKey());
  } catch {
    // The issuer's key is of no kind that we support.
    return false;
  }
}

/**
 * The way from `leaf` up to an anchor, both included, that holds at `nowMs` (RFC 5280 section 6.1, without policies).
 * An anchor is trusted as it is: its own signature is not looked at, but its times, path length and name constraints are.
 * Throws `x509-chain-*`: `incomplete` where no way leads to an anchor, else what is wrong with the way that came furthest:
 * `time`, `path-length`, `names`, `critical`. Purposes (extended key usage) are the caller's policy.
 */
export function buildChain(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  nowMs: number,
): readonly Certificate[] {
  const search = { intermediates, anchors, signaturesLeft: MAX_SIGNATURES };
  let fault: ProtocolError | undefined;
  for (const chain of chainsFrom([leaf], search)) {
    const found = faultOf(chain, nowMs);
    if (found === undefined) return chain;
    fault ??= found;
  }
  throw fault ?? chainFault("incomplete", "no way leads to an anchor");
}

interface Search {
  readonly intermediates: readonly Certificate[];
  readonly anchors: readonly Certificate[];
  signaturesLeft: number;
}

function* chainsFrom(
  chain: readonly Certificate[],
  search: Search,
): Generator<readonly Certificate[]> {
  const last = chain[chain.length - 1] as Certificate;
  if (search.anchors.some((anchor) => anchor.der.equals(last.der))) {
    yield chain;
    return;
  }
  if (chain.length === MAX_CHAIN_LENGTH) return;
  for (const anchor of search.anchors) {
    if (isNextAbove(last, anchor, search)) yield [...chain, anchor];
  }
  for (const candidate of search.intermediates) {
    const isOnWay = chain.some(({ der }) => der.equals(candidate.der));
    if (!isOnWay && isNextAbove(last, candidate, search)) {
      yield* chainsFrom([...chain, candidate], search);
    }
  }
}

function isNextAbove(child: Certificate, issuer: Certificate, search: Search): boolean {
  if (!mayHaveIssued(child, issuer) || search.signaturesLeft === 0) return false;
  search.signaturesLeft -= 1;
  return isSignedBy(child, issuer);
}

function faultOf(chain: readonly Certificate[], nowMs: number): ProtocolError | undefined {
  return (
    chain.map((certificate) => faultOfOne(certificate, nowMs)).find(Boolean) ??
    faultOfPathLengths(chain) ??
    faultOfNames(chain)
  );
}

function faultOfOne(certificate: Certificate, nowMs: number): ProtocolError | undefined {
  const { notBefore, notAfter, unknownCritical } = certificate;
  if (nowMs < notBefore) return chainFault("time", "a certificate is not valid yet");
  if (nowMs > notAfter) return chainFault("time", "a certificate has expired");
  const [unknown] = unknownCritical;
  if (unknown === undefined) return undefined;
  return chainFault("critical", `critical extension ${unknown} is not known`);
}

/** A CA's path length counts the CAs below it that are not self-issued (section 6.1.4, l and m). */
function faultOfPathLengths(chain: readonly Certificate[]): ProtocolError | undefined {
  let casBelow = 0;
  for (const certificate of chain.slice(1)) {
    const limit = certificate.basicConstraints?.pathLength;
    if (limit !== undefined && casBelow > limit) {
      return chainFault("path-length", `${casBelow} CAs below one that allows ${limit}`);
    }
    if (!isSelfIssued(certificate)) casBelow += 1;
  }
  return undefined;
}

/** Each CA's name constraints hold for every certificate below, but for self-issued CAs (section 6.1.3, b and c). */
function faultOfNames(chain: readonly Certificate[]): ProtocolError | undefined {
  for (const [height, { nameConstraints }] of chain.entries()) {
    if (nameConstraints === undefined) continue;
    const below = chain.slice(0, height).filter((one, at) => at === 0 || !isSelfIssued(one));
    const isObeyed = below.every((certificate) =>
      namesOf(certificate).every((name) => isNamePermitted(name, nameConstraints)),
    );
    if (!isObeyed) return chainFault("names", "a name is outside the constraints of a CA");
  }
  return undefined;
}

/** The subject, its mail addresses (an old habit that section 4.2.1.10 covers), and all alternative names. */
function namesOf(certificate: Certificate): GeneralName[] {
  const { subject, subjectAltNames } = certificate;
  const attributes = subject.attributes.flat();
  const directory: GeneralName[] =
    attributes.length === 0 ? [] : [{ type: "directory", value: subject }];
  const mail = attributes
    .filter(({ type }) => type === OID.emailAddress)
    .map(({ value }): GeneralName => ({ type: "email", value }));
  return [...directory, ...mail, ...subjectAltNames];
}

function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return isSameName(subject, issuer);
}

function chainFault(what: string, message: string): ProtocolError {
  return new ProtocolError(`x509-chain-${what}`, `certificate chain: ${message}`);
}

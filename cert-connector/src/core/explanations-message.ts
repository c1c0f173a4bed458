import type { Explanations } from "./explanations.ts";

const CLIENT_FAULT =
  "update the device's SCEP client; if only this client does it, report it with the client's name and version";
const LEGACY =
  "update the client, or set legacyAlgorithms in the profile for clients that can do no better";

/** A device's message, before anything is decided: what it is made of, how it is signed and sealed. */
export const MESSAGE_EXPLANATIONS: Explanations = {
  "scep-query": [
    "the address carries no SCEP operation, or one that does not exist",
    "compare the address in the device's profile with the one that `run.json` and the guide show",
  ],
  "scep-message": ["the bytes are no SCEP message, or one that only a server sends", CLIENT_FAULT],
  "scep-content": ["the sealed content is not what the message type says", CLIENT_FAULT],
  "scep-recipient": [
    "the message is sealed to a certificate that is not, or no longer, the RA's",
    "have the device ask GetCACert again; behind a load balancer see that all nodes have the same RA key",
  ],
  "scep-signer": [
    "the certificate and key with which we sign to an upstream SCEP server do not fit",
    "correct signer.certificateFile and signer.keyFile of that authority",
  ],
  "scep-signer-key": [
    "the message is signed with a key of a kind that cannot be answered, e.g. EC",
    "use an RSA key for the SCEP message; the certificate to be issued may have another",
  ],
  "scep-answer": [
    "the upstream SCEP server answered with something that cannot be read or verified",
    "see the upstream server's log at that time",
  ],
  "scep-busy": [
    "more devices asked at once than are served together",
    "nothing: the device comes back; if it stays so, add a replica or spread the rollout",
  ],
  "opener-busy": [
    "more sealed messages wait than are kept",
    "nothing: the device comes back; if it stays so, raise envelopeThreads",
  ],
  "opener-died": [
    "the thread that opens sealed messages ended and was started again",
    "nothing: the device comes back; if it repeats, report it with the log",
  ],
  "envelope-self-test": [
    "the RA key cannot open what is sealed to it, or opens what it must not",
    "run the Node version that the package names, and see `check`; the service does not start without this",
  ],
  "cms-": ["the CMS structure of the message is not one that clients write", CLIENT_FAULT],
  "cms-algorithm": ["the message is encrypted with an algorithm that is off", LEGACY],
  "cms-digest-algorithm": ["the message is signed with a digest that is off, e.g. SHA-1", LEGACY],
  "cms-signature": [
    "the message's signature is not good: it was changed on the way or signed with another key",
    "look for a proxy that rewrites requests; otherwise update the client",
  ],
  "cms-recipient": [
    "the message is sealed in a way that is not supported",
    "update the client; RSA with PKCS#1 v1.5 or OAEP is what SCEP knows",
  ],
  "der-": ["a part of the message is not well-formed DER", CLIENT_FAULT],
  "x509-": ["a certificate, request or name in the message cannot be read", CLIENT_FAULT],
  "x509-public-key": [
    "the key in the request is of a kind or size that nobody here supports",
    "use RSA of 2048 bits or more, or P-256, P-384 or P-521",
  ],
  "pkcs12-": [
    "the PFX file cannot be read",
    "make it again with a current OpenSSL, Windows or macOS, and check its password",
  ],
  "pfx-unreadable": [
    "the PFX file cannot be read, or its password is not the right one",
    "try the file and its password with `openssl pkcs12`, and export it anew if that fails too",
  ],
  "pfx-purpose": [
    "the certificate in the PFX is not for the purpose it is imported for",
    "import a certificate with that key usage, or name its real purpose",
  ],
  "package-missing": [
    "an optional package that this needs is not installed",
    "install the package that the message names, and start again",
  ],
  "pfx-key": [
    "the PFX holds no key that can be used",
    "export the certificate with its private key",
  ],
  internal: [
    "something that nobody foresaw",
    "see the service's log at that time: it has the whole error",
  ],
};

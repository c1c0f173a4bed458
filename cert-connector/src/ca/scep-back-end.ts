import { ConnectorError } from "@isthmus/shared/errors";
import type { OutboundAnswer, OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import type { Random } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import type { IssuanceAnswer } from "../core/ports.ts";
import {
  beginScepTransaction,
  readCaCertificates,
  readScepAnswer,
  type ScepAnswer,
  type ScepServerDescription,
  type ScepWish,
  selectRecipient,
} from "../protocol/scep-client.ts";
import type { ScepSigner } from "../protocol/scep-writer.ts";
import { readingCertificates, refused, statusError, unexpectedAnswer } from "./remote-answer.ts";
import type { RemoteBackEnd, RemoteOrder } from "./remote-order.ts";

export interface ScepUpstreamParts {
  /** Its base address is the SCEP address itself. */
  readonly http: OutboundHttp;
  /** Who signs our messages and opens the answers: not the device, whose key we do not have. */
  readonly signer: ScepSigner;
  /** The issuing certificate first: whoever answers has to be one of these or issued by one. */
  readonly chain: readonly Certificate[];
  readonly legacyAlgorithms: boolean;
  readonly random: Random;
}

interface Server {
  readonly description: ScepServerDescription;
  readonly certificates: readonly Certificate[];
  readonly takesPost: boolean;
}

/**
 * Another SCEP server (RFC 8894), whose client we are. The device's request goes on as it is, inside a message that we
 * sign: the answer is encrypted to our key. The server knows no name but those of the request.
 */
export class ScepBackEnd implements RemoteBackEnd {
  readonly #parts: ScepUpstreamParts;
  #server: Server | undefined;

  constructor(parts: ScepUpstreamParts) {
    this.#parts = parts;
  }

  async issue(order: RemoteOrder): Promise<IssuanceAnswer> {
    const server = await this.#known(order.signal);
    const polled = await this.#poll(order, server);
    if (polled !== undefined) return polled;
    const wish = { messageType: "PKCSReq", certificationRequest: order.request.der } as const;
    const { answer, transactionId } = await this.#ask(wish, server, order.signal);
    if (answer === undefined) throw unexpectedAnswer("it does not answer to PKCSReq");
    return answerFor(answer, order, transactionId);
  }

  /** What became of the order that was sent before; undefined where the server does not know it, or no poll at all. */
  async #poll(order: RemoteOrder, server: Server): Promise<IssuanceAnswer | undefined> {
    const { request, planned, reference, signal } = order;
    if (reference === undefined) return undefined;
    const issuerAndSubject = { issuer: planned.issuer, subject: request.subject };
    const wish = { messageType: "CertPoll", issuerAndSubject, transactionId: reference } as const;
    const { answer } = await this.#ask(wish, server, signal, { isOptional: true });
    if (answer === undefined || answer.status === "FAILURE") return undefined;
    return answerFor(answer, order, reference);
  }

  /** SCEP has no message for it. */
  async revoke(): Promise<void> {
    throw new ConnectorError(
      "ca-cannot-revoke",
      "a SCEP server cannot be told to revoke: revoke the certificate at the CA itself",
    );
  }

  async probe(signal: AbortSignal): Promise<readonly Certificate[]> {
    const { certificates } = await this.#describe(signal);
    return certificates.filter(({ basicConstraints }) => basicConstraints?.isCa === true);
  }

  async #known(signal: AbortSignal): Promise<Server> {
    return this.#server ?? (await this.#describe(signal));
  }

  async #describe(signal: AbortSignal): Promise<Server> {
    const capabilities = capabilitiesIn(await this.#get("GetCACaps", signal));
    const certificates = this.#trusted(await this.#get("GetCACert", signal));
    const server: Server = {
      description: {
        recipient: readingCertificates(() => selectRecipient(certificates)),
        signers: certificates,
        mayEchoNonce: true,
        ...algorithmsFor(capabilities, this.#parts.legacyAlgorithms),
      },
      certificates,
      takesPost: capabilities.has("postpkioperation") || capabilities.has("scepstandard"),
    };
    this.#server = server;
    return server;
  }

  /** They come over plain HTTP: only those count that the configured chain vouches for. */
  #trusted(answer: OutboundAnswer): readonly Certificate[] {
    if (answer.status !== 200) throw statusError(answer, "");
    const contentType = answer.headers["content-type"] ?? "";
    const { chain } = this.#parts;
    const certificates = readingCertificates(() => readCaCertificates(contentType, answer.body));
    const trusted = certificates.filter((certificate) =>
      chain.some(
        (known) => known.der.equals(certificate.der) || verifyIssuedBy(certificate, known),
      ),
    );
    if (trusted.length > 0) return trusted;
    throw unexpectedAnswer("none of its certificates is of the chain in issuerFile");
  }

  async #ask(
    wish: ScepWish,
    { description, takesPost }: Server,
    signal: AbortSignal,
    { isOptional = false } = {},
  ): Promise<{ readonly answer: ScepAnswer | undefined; readonly transactionId: string }> {
    const { signer, random } = this.#parts;
    const transaction = await beginScepTransaction(wish, signer, description, random);
    const { message, transactionId } = transaction;
    const answer = await this.#operate(message, takesPost, signal);
    if (answer.status === 200) {
      return { answer: readScepAnswer(answer.body, transaction), transactionId };
    }
    if (isOptional) return { answer: undefined, transactionId };
    throw statusError(answer, "");
  }

  #operate(message: Buffer, takesPost: boolean, signal: AbortSignal): Promise<OutboundAnswer> {
    const path = "?operation=PKIOperation";
    if (!takesPost) {
      const text = encodeURIComponent(message.toString("base64"));
      return this.#parts.http.send({ method: "GET", path: `${path}&message=${text}`, signal });
    }
    const headers = { "content-type": "application/x-pki-message" };
    return this.#parts.http.send({ method: "POST", path, headers, body: message, signal });
  }

  #get(operation: string, signal: AbortSignal): Promise<OutboundAnswer> {
    return this.#parts.http.send({ method: "GET", path: `?operation=${operation}`, signal });
  }

  [Symbol.dispose](): void {
    this.#parts.http[Symbol.dispose]();
  }
}

/** One to a line, in any case; a server without GetCACaps has none (RFC 8894 section 3.5.1). */
function capabilitiesIn({ status, body }: OutboundAnswer): ReadonlySet<string> {
  if (status !== 200) return new Set();
  const lines = body.toString("latin1").split(/\r?\n/);
  return new Set(lines.map((line) => line.trim().toLowerCase()).filter((line) => line !== ""));
}

function algorithmsFor(
  capabilities: ReadonlySet<string>,
  legacyAlgorithms: boolean,
): Pick<ScepServerDescription, "cipher" | "digest"> {
  const isModern = capabilities.has("scepstandard");
  const hasAes = isModern || capabilities.has("aes");
  const hasSha256 = isModern || capabilities.has("sha-256");
  if (hasAes && hasSha256) return { cipher: "aes-256-cbc", digest: "sha256" };
  if (legacyAlgorithms) {
    return {
      cipher: hasAes ? "aes-256-cbc" : "des-ede3-cbc",
      digest: hasSha256 ? "sha256" : "sha1",
    };
  }
  throw unexpectedAnswer("it offers AES and SHA-256 not both; legacyAlgorithms allows what it has");
}

function answerFor(
  answer: ScepAnswer,
  { planned }: RemoteOrder,
  transactionId: string,
): IssuanceAnswer {
  switch (answer.status) {
    case "PENDING":
      return { kind: "pending", reference: transactionId };
    case "FAILURE": {
      const words = answer.failInfoText === undefined ? "" : ` (${answer.failInfoText})`;
      return refused("ca-refused", `the SCEP server refuses: ${answer.failInfo}${words}`);
    }
    case "SUCCESS": {
      // By its key: servers put the chain beside it, in any order.
      const own = answer.certificates.find(({ publicKeyInfo }) =>
        publicKeyInfo.equals(planned.publicKeyInfo),
      );
      if (own === undefined) throw unexpectedAnswer("it answered with no certificate for the key");
      return { kind: "issued", certificate: own.der };
    }
  }
}

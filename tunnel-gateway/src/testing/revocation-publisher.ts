import { once } from "node:events";
import { createServer } from "node:http";
import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import { parseOcspRequest } from "@isthmus/shared/x509/ocsp-request";
import {
  type CertStatus,
  encodeOcspFailure,
  encodeOcspResponse,
} from "@isthmus/shared/x509/ocsp-response";

/** What the publisher says; a test changes it between two looks of the gateway. */
export interface Published {
  list: Buffer | "absent";
  /** By serial number; those that are not named are good. */
  statuses: Record<string, CertStatus>;
  isResponding: boolean;
}

/** A CA's web server on loopback: `/list.crl` and `/ocsp`. */
export async function startPublisher(responder: TestIdentity) {
  const published: Published = { list: "absent", statuses: {}, isResponding: true };
  const asked = { lists: 0, answers: 0 };
  const answerTo = async (body: Buffer): Promise<Buffer> => {
    if (!published.isResponding) return encodeOcspFailure("tryLater");
    const request = parseOcspRequest(body);
    const now = Date.now();
    return encodeOcspResponse({
      producedAt: now,
      responses: request.certIds.map((certId) => ({
        certId,
        certStatus: published.statuses[certId.serialNumber] ?? { status: "good" },
        thisUpdate: now,
        nextUpdate: now + 3_600_000,
      })),
      nonce: request.nonce,
      responder: {
        key: responder.key,
        publicKeyInfo: responder.certificate.publicKeyInfo,
        certificate: responder.certificate.der,
      },
    });
  };
  const server = createServer((request, response) => {
    if (request.url === "/list.crl") {
      asked.lists += 1;
      if (published.list === "absent") response.writeHead(404).end();
      else response.end(published.list);
      return;
    }
    asked.answers += 1;
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      answerTo(Buffer.concat(chunks)).then(
        (answer) => response.end(answer),
        () => response.writeHead(500).end(),
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    published,
    asked,
    crl: { url: `http://127.0.0.1:${port}/list.crl` },
    ocsp: { url: `http://127.0.0.1:${port}/ocsp` },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

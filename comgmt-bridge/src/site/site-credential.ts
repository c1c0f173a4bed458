import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { RawAnswer } from "./site-connection.ts";

/** How we show who we are to the AdminService. */
export interface SiteCredential {
  /** Which of the service's two fronts takes it. */
  readonly basePath: "/AdminService_TokenAuth/" | "/AdminService/";
  /** Gets ready what one request shows, before a connection is taken: a ticket may have to be fetched. */
  present(host: string): Promise<PresentedCredential>;
}

/** What one request shows, and what its answer has to show. */
export interface PresentedCredential {
  /** The `Authorization` header on a connection to the server with this certificate (DER). */
  authorization(certificate: Buffer | undefined): string;
  /** Looks at an answer before anything else does. Throws where it says what is wrong with us, or does not prove the server. */
  judge?(answer: Pick<RawAnswer, "status" | "headers">): void;
}

/** RFC 6750 section 2.1. */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/;

/** A bearer token that something else renews in a file: read for each request, so that the next one has the new token. */
export function tokenCredential(file: string): SiteCredential {
  return {
    basePath: "/AdminService_TokenAuth/",
    async present() {
      const token = readSecretFile(file);
      if (BEARER.test(token)) return { authorization: () => `Bearer ${token}` };
      throw new ConnectorError(
        "site-token",
        `secret file ${file} holds no bearer token: one line of letters, digits and ._~+/-= is expected`,
      );
    },
  };
}

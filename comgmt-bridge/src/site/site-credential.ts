import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
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

/** Own choice: so long a token is believed to be the one in the file, unless the site does not take it. */
const KEPT_MS = 5_000;
const TOKEN_RENEWED = "site-token-renewed";

/** Whether the site refused a token in whose place the file has another by now: nothing was done, and the same may be asked again at once. */
export function isTokenRenewed(error: unknown): boolean {
  return codeOf(error) === TOKEN_RENEWED;
}

/**
 * A bearer token that something else renews in a file. It is read every few seconds at most, and at once when the site refuses the one that is
 * known.
 */
export function tokenCredential(file: string, clock: Clock): SiteCredential {
  let kept: { readonly token: string; readonly at: number } | undefined;
  const read = () => {
    kept = undefined;
    kept = { token: readToken(file), at: clock.now() };
    return kept.token;
  };
  const tokenOfNow = () => {
    const age = clock.now() - (kept?.at ?? Number.NEGATIVE_INFINITY);
    // One that was read later than now was told so by a clock that was then put back.
    return kept !== undefined && age >= 0 && age < KEPT_MS ? kept.token : read();
  };
  return {
    basePath: "/AdminService_TokenAuth/",
    async present() {
      const token = tokenOfNow();
      return {
        authorization: () => `Bearer ${token}`,
        judge({ status }) {
          if (status !== 401 || read() === token) return;
          throw new ConnectorError(
            TOKEN_RENEWED,
            `the site does not accept a token that ${file} has no longer`,
            { isRetryable: true },
          );
        },
      };
    },
  };
}

function readToken(file: string): string {
  const token = readSecretFile(file);
  if (BEARER.test(token)) return token;
  throw new ConnectorError(
    "site-token",
    `secret file ${file} holds no bearer token: one line of letters, digits and ._~+/-= is expected`,
  );
}

import { ConnectorError } from "@isthmus/shared/errors";
import { z } from "zod";
import type { FinishedRevocation, RequestedRevocation } from "../core/requested-revocations.ts";
import type { IntuneClient } from "./intune-client.ts";

/** microsoft/Intune-Resource-Access, IntuneRevocationClient. */
const REVOCATION_SERVICE = "PkiConnectorFEService";
const API_VERSION = "5019-05-05";
const MAX_REVOCATION_REQUESTS = 500;

const text = z.string().max(4_096);
const downloaded = z.object({
  value: z
    .array(
      z.object({
        requestContext: z.string().min(1).max(16_384),
        serialNumber: text,
        issuerName: text.nullish(),
        caConfiguration: text.nullish(),
      }),
    )
    .max(MAX_REVOCATION_REQUESTS),
});
const uploaded = z.object({ value: z.union([z.boolean(), z.stringbool()]) });

/** What Intune wants revoked, and what came of it. Both throw what `IntuneClient.post` throws, and `intune-answer`. */
export class RevocationRequests {
  readonly #client: Pick<IntuneClient, "post" | "name">;

  constructor(client: Pick<IntuneClient, "post" | "name">) {
    this.#client = client;
  }

  async download(of: {
    readonly maxRequests: number;
    readonly issuerName: string | undefined;
  }): Promise<readonly RequestedRevocation[]> {
    const { maxRequests, issuerName = null } = of;
    const body = { downloadParameters: { maxRequests, issuerName } };
    const { data } = downloaded.safeParse(await this.#post("downloadRevocationRequests", body));
    if (data !== undefined) return data.value;
    throw this.#fault("the list of revocation requests cannot be read");
  }

  /** Each result with all four fields: `None` and null where it succeeded, as the published C# library writes them. */
  async upload(results: readonly FinishedRevocation[]): Promise<void> {
    const body = { results: results.map(inOrder) };
    const { data } = uploaded.safeParse(await this.#post("uploadRevocationResults", body));
    if (data?.value === true) return;
    throw this.#fault("the results of revocations were not taken");
  }

  #post(action: string, body: unknown): Promise<unknown> {
    return this.#client.post({
      service: REVOCATION_SERVICE,
      suffix: `CertificateAuthorityRequests/${action}`,
      apiVersion: API_VERSION,
      body,
    });
  }

  #fault(what: string): ConnectorError {
    const message = `tenant ${this.#client.name}: ${what}`;
    return new ConnectorError("intune-answer", message, { isRetryable: true });
  }
}

function inOrder({ requestContext, succeeded, errorCode, errorMessage }: FinishedRevocation) {
  return { requestContext, succeeded, errorCode, errorMessage };
}

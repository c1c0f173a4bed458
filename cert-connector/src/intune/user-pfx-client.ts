import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CloudAnswer } from "@isthmus/shared/link/cloud-http";
import { z } from "zod";
import { jsonOf } from "./json-answer.ts";
import { retryAfterMs } from "./retry-after.ts";
import type { TenantHttp } from "./tenant-http.ts";

/** Our own limits on one record: throttled for hours is a fault to show, not to wait for. */
const MAX_ATTEMPTS = 10;
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 300_000;

/** The part of a userPfxCertificate that is a name. */
export interface UserPfxName {
  readonly userPrincipalName: string;
  /** SHA-1, lower-case hex. */
  readonly thumbprint: string;
}

/** Where records go: Microsoft Graph, or a control plane of ours. */
export interface UserPfxService {
  /** For messages. */
  readonly name: string;
  /** `https://graph.microsoft.com/beta`: the version is part of it, no slash at its end. */
  readonly baseUrl: string;
  /** The bearer token. */
  token(): Promise<string>;
  /** Forgets a token that was not accepted. */
  forget(token: string): void;
  /** How the service tells which entity is the one of this user and certificate. */
  readonly idBy: "user-id" | "list";
}

interface Parts {
  readonly service: UserPfxService;
  readonly http: Pick<TenantHttp, "send">;
  readonly clock: Clock;
  /** Waits; throws where the person has had enough. */
  readonly wait: (ms: number) => Promise<void>;
}

const users = z.object({ value: z.array(z.object({ id: z.string().min(1).max(128) })).max(100) });
const certificates = z.object({
  value: z
    .array(z.object({ id: z.string().min(1).max(256), userPrincipalName: z.string() }))
    .max(1_000),
});
const failure = z.object({ error: z.object({ message: z.string() }) });

const PATH = "deviceManagement/userPfxCertificates";

/**
 * Puts userPfxCertificates (Graph beta) in place: a new one is created, one that is there already is changed, so that an
 * import may be repeated. Throttling (429) and faults of the service are waited out by the service's own word
 * (`x-ms-retry-after-ms`, Retry-After).
 */
export class UserPfxClient {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Throws ConnectorError `pfx-import-refused` with what the service said, `pfx-import-busy` (retryable) after the last
   * attempt, `pfx-user-unknown`, and what HTTP and token throw.
   */
  async put(record: UserPfxName & object): Promise<"created" | "changed"> {
    const created = await this.#call("POST", PATH, record);
    if (created.status === 201 || created.status === 200) return "created";
    if (created.status !== 409) throw this.#refused(created);
    const changed = await this.#call("PATCH", `${PATH}('${await this.#idOf(record)}')`, record);
    if (changed.status !== 200 && changed.status !== 204) throw this.#refused(changed);
    return "changed";
  }

  async #idOf({ userPrincipalName, thumbprint }: UserPfxName): Promise<string> {
    if (this.#parts.service.idBy === "user-id") {
      return `${await this.#userIdOf(userPrincipalName)}-${thumbprint}`;
    }
    const query = queryOf(`thumbprint eq '${quoted(thumbprint)}'`, "id,userPrincipalName");
    const { value } = this.#read(certificates, await this.#call("GET", `${PATH}?${query}`));
    const user = userPrincipalName.toLowerCase();
    const found = value.find((each) => each.userPrincipalName.toLowerCase() === user);
    if (found !== undefined) return found.id;
    throw this.#unknown(userPrincipalName);
  }

  async #userIdOf(userPrincipalName: string): Promise<string> {
    const query = queryOf(`userPrincipalName eq '${quoted(userPrincipalName)}'`, "id");
    const { value } = this.#read(users, await this.#call("GET", `users?${query}`));
    const [user] = value;
    if (user !== undefined) return user.id;
    throw this.#unknown(userPrincipalName);
  }

  #read<T>(schema: z.ZodType<T>, answer: CloudAnswer): T {
    if (answer.status !== 200) throw this.#refused(answer);
    const { data } = schema.safeParse(jsonOf(answer.body));
    if (data !== undefined) return data;
    throw this.#refused({ ...answer, body: Buffer.from("") });
  }

  /** Any answer but those that say "later" and the first refusal of a token. */
  async #call(method: "GET" | "POST" | "PATCH", path: string, body?: object): Promise<CloudAnswer> {
    const { service, http, clock, wait } = this.#parts;
    const url = new URL(`${service.baseUrl}/${path}`);
    let isTokenRenewed = false;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const token = await service.token();
      const answer = await http.send({
        method,
        url,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: Buffer.from(JSON.stringify(body)) }),
      });
      if (answer.status === 401 && !isTokenRenewed) {
        isTokenRenewed = true;
        service.forget(token);
      } else if (isLater(answer.status)) {
        const asked = retryAfterMs(answer.headers, clock.now());
        await wait(Math.min(asked ?? FIRST_WAIT_MS * 2 ** attempt, MAX_WAIT_MS));
      } else return answer;
    }
    throw new ConnectorError(
      "pfx-import-busy",
      `${service.name} was too busy ${MAX_ATTEMPTS} times; run the same import again later`,
      { isRetryable: true },
    );
  }

  #refused({ status, body }: CloudAnswer): ConnectorError {
    const { data } = failure.safeParse(jsonOf(body));
    const said = data?.error.message.slice(0, 300) ?? "no message";
    const { name } = this.#parts.service;
    return new ConnectorError("pfx-import-refused", `${name} answered ${status}: ${said}`);
  }

  #unknown(userPrincipalName: string): ConnectorError {
    const { name } = this.#parts.service;
    return new ConnectorError("pfx-user-unknown", `${name} knows no user ${userPrincipalName}`);
  }
}

function isLater(status: number): boolean {
  return status === 429 || status === 503 || status === 504;
}

/** In an OData string a quote is written twice. */
function quoted(text: string): string {
  return text.replaceAll("'", "''");
}

function queryOf(filter: string, select: string): string {
  return `$filter=${encodeURIComponent(filter)}&$select=${encodeURIComponent(select)}`;
}

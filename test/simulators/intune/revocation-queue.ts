import { isObject, REVOCATION_ERROR_CODES } from "./contract.ts";

const MAX_REQUESTS = 500;

interface QueuedRevocation {
  readonly requestContext: string;
  readonly serialNumber: string;
  readonly issuerName: string;
  readonly caConfiguration: string;
}

/** What Intune wants revoked. A request stays until its result has come; results are kept by their context. */
export class RevocationQueue {
  readonly #waiting = new Map<string, QueuedRevocation>();
  readonly results = new Map<string, Readonly<Record<string, unknown>>>();
  /** How many results came, repeated ones too. */
  resultsReceived = 0;

  ask(request: QueuedRevocation): void {
    this.#waiting.set(request.requestContext, request);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Undefined for parameters that the contract does not know. */
  page(parameters: Readonly<Record<string, unknown>>): readonly QueuedRevocation[] | undefined {
    const { maxRequests, issuerName } = parameters;
    if (!(Number(maxRequests) >= 1 && Number(maxRequests) <= MAX_REQUESTS)) return undefined;
    return [...this.#waiting.values()]
      .filter((each) => issuerName === null || each.issuerName === issuerName)
      .slice(0, Number(maxRequests));
  }

  /** What is wrong with the results, if anything; then none of them counts. */
  take(results: readonly unknown[]): string | undefined {
    const fault = results.map(faultOfResult).find((each) => each !== undefined);
    if (fault !== undefined) return fault;
    for (const result of results as readonly Record<string, unknown>[]) {
      const context = String(result["requestContext"]);
      this.resultsReceived += 1;
      this.results.set(context, result);
      this.#waiting.delete(context);
    }
    return undefined;
  }
}

function faultOfResult(result: unknown): string | undefined {
  if (!isObject(result)) return "a result is no object";
  const { succeeded, errorCode, errorMessage } = result;
  if (!REVOCATION_ERROR_CODES.includes(String(errorCode))) return `errorCode ${errorCode}`;
  if (succeeded === true && (errorCode !== "None" || errorMessage !== null)) {
    return "succeeded, with an error";
  }
  return succeeded === false && errorCode === "None" ? "failed, without an error" : undefined;
}

import type { ServerResponse } from "node:http";

/** What can go wrong with one answer; `drop-after` does the work and then cuts the connection. */
export type Fault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | "hang"
  | "drop-before"
  | "drop-after"
  | "html-200"
  | "wrong-content-type";

/** Faults to come, by the end of the path they are for; each is used once. */
export class Faults {
  readonly #queued: { readonly suffix: string; readonly fault: Fault }[] = [];

  add(suffix: string, ...faults: readonly Fault[]): void {
    for (const fault of faults) this.#queued.push({ suffix, fault });
  }

  clear(): void {
    this.#queued.length = 0;
  }

  take(path: string): Fault | undefined {
    const index = this.#queued.findIndex(({ suffix }) => path.endsWith(suffix));
    return index === -1 ? undefined : this.#queued.splice(index, 1)[0]?.fault;
  }
}

const ERROR_PAGE =
  "<!DOCTYPE html><html><body><h1>Our services are not available</h1></body></html>";

/** Whether the fault comes before the work, and took the answer's place. */
export function faultBefore(fault: Fault | undefined, response: ServerResponse): boolean {
  if (fault === undefined || fault === "drop-after" || fault === "wrong-content-type") return false;
  if (fault === "hang") return true;
  if (fault === "drop-before") response.destroy();
  else if (fault === "html-200") page(response, 200, {});
  else page(response, fault.status, fault.headers ?? {});
  return true;
}

function page(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, { "content-type": "text/html", ...headers }).end(ERROR_PAGE);
}

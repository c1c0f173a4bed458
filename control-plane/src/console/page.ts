import type { ApiStream } from "../core/api-operations.ts";
import type { ConsoleApi } from "./console-api.ts";
import type { Html } from "./html.ts";

/** What a page is asked with. */
export interface PageRequest {
  readonly api: ConsoleApi;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Of a form that was sent. */
  readonly form: Readonly<Record<string, unknown>>;
}

/** A page, one that comes in pieces, a file, or the address of the one that is shown next. */
export type PageAnswer =
  | { readonly status: number; readonly page: Html }
  | { readonly status: number; readonly chunks: AsyncIterable<string> }
  | { readonly status: number; readonly file: ApiStream }
  | { readonly seeOther: string };

/** A page of the console, for whoever is signed in. Throws `ApiRefusal` for what the API refuses. */
export interface Page {
  readonly method: "get" | "post";
  readonly path: string;
  /** Of a form; 4,096 where nothing is said. */
  readonly maxFormBytes?: number;
  answer(request: PageRequest): Promise<PageAnswer>;
}

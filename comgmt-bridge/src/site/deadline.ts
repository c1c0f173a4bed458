import { ConnectorError } from "@isthmus/shared/errors";

/** A signal for requests that are of use for so long only; a site that lets it pass counts as not answering. */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(ms: number) {
    this.#timer = setTimeout(() => {
      const words = `the site did not answer within ${ms} ms: the SMS provider may be down or overloaded; see the SMS_REST_PROVIDER component`;
      this.#controller.abort(new ConnectorError("site-timeout", words, { isRetryable: true }));
    }, ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** A request that is answered with a status and OData's error object (or nothing), as documented of the service. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, message: string, body: unknown = errorBody(message)) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** The shape that ASP.NET's OData gives errors. */
export function errorBody(
  message: string,
  inner?: { readonly message: string; readonly type: string },
) {
  return {
    error: {
      code: "",
      message,
      ...(inner !== undefined && { innererror: { ...inner, stacktrace: "" } }),
    },
  };
}

export function badQuery(message: string): Refusal {
  const sentence = `The query specified in the URI is not valid. ${message}`;
  const inner = { message, type: "Microsoft.OData.ODataException" };
  return new Refusal(400, sentence, errorBody(sentence, inner));
}

export function notFound(message: string): Refusal {
  return new Refusal(404, message);
}

/** The wire as microsoft/Intune-Resource-Access (src/CsrValidation) has it; what is not exactly so is refused. */

export const INTUNE_APPLICATION_ID = "0000000a-0000-0000-c000-000000000000";
export const VALIDATION_PATH = "/RACerts/StatelessScepRequestValidationService";
export const REVOCATION_PATH = "/RACerts/StatelessPkiConnectorService";

export interface Action {
  readonly path: string;
  readonly apiVersion: string;
  /** The one key of the body. */
  readonly envelope: string;
  /** Keys in the envelope, in their order; of each element where it is an array. */
  readonly keys: Readonly<Record<string, "string" | "number" | "boolean" | "string?">>;
}

const CALLER = { callerInfo: "string" } as const;
const REQUEST = { transactionId: "string", certificateRequest: "string" } as const;

export const ACTIONS = {
  validateRequest: {
    path: `${VALIDATION_PATH}/ScepActions/validateRequest`,
    apiVersion: "2018-02-20",
    envelope: "request",
    keys: { ...REQUEST, ...CALLER },
  },
  successNotification: {
    path: `${VALIDATION_PATH}/ScepActions/successNotification`,
    apiVersion: "2018-02-20",
    envelope: "notification",
    keys: {
      ...REQUEST,
      certificateThumbprint: "string",
      certificateSerialNumber: "string",
      certificateExpirationDateUtc: "string",
      issuingCertificateAuthority: "string",
      ...CALLER,
      caConfiguration: "string",
      certificateAuthority: "string",
    },
  },
  failureNotification: {
    path: `${VALIDATION_PATH}/ScepActions/failureNotification`,
    apiVersion: "2018-02-20",
    envelope: "notification",
    keys: { ...REQUEST, hResult: "number", errorDescription: "string", ...CALLER },
  },
  downloadRevocationRequests: {
    path: `${REVOCATION_PATH}/CertificateAuthorityRequests/downloadRevocationRequests`,
    apiVersion: "5019-05-05",
    envelope: "downloadParameters",
    keys: { maxRequests: "number", issuerName: "string?" },
  },
  uploadRevocationResults: {
    path: `${REVOCATION_PATH}/CertificateAuthorityRequests/uploadRevocationResults`,
    apiVersion: "5019-05-05",
    envelope: "results",
    keys: {
      requestContext: "string",
      succeeded: "boolean",
      errorCode: "string",
      errorMessage: "string?",
    },
  },
} as const satisfies Readonly<Record<string, Action>>;

export type ActionName = keyof typeof ACTIONS;

/** The published enum; those from NonRetryableServiceException on are failures. */
export const REVOCATION_ERROR_CODES: readonly string[] = [
  "None",
  "NonRetryableServiceException",
  "DataSerializationError",
  "ParameterDataInvalidError",
  "CryptographyError",
  "CertificateNotFoundError",
  "ConflictError",
  "NotSupportedError",
  "PayloadTooLargeError",
  "RetryableServiceException",
  "ServiceUnavailableException",
  "ServiceTooBusyException",
  "AuthenticationException",
];

/** What is wrong with a body, in words; undefined for one that is exactly as published. */
export function faultOfBody(action: Action, body: unknown): string | undefined {
  if (!isObject(body)) return "the body is no object";
  if (Object.keys(body).join() !== action.envelope) {
    return `the body has ${Object.keys(body)}, not ${action.envelope}`;
  }
  const content = body[action.envelope];
  const elements = action.envelope === "results" ? content : [content];
  if (!Array.isArray(elements) || elements.length === 0) return `${action.envelope} is no array`;
  return elements.map((each) => faultOfElement(action, each)).find((each) => each !== undefined);
}

function faultOfElement({ keys }: Action, element: unknown): string | undefined {
  if (!isObject(element)) return "an element is no object";
  if (Object.keys(element).join() !== Object.keys(keys).join()) {
    return `keys ${Object.keys(element)} instead of ${Object.keys(keys)}`;
  }
  const wrong = Object.entries(keys).find(([key, type]) => !isOfType(element[key], type));
  return wrong && `${wrong[0]} is no ${wrong[1]}`;
}

function isOfType(value: unknown, type: string): boolean {
  if (type === "string?") return value === null || typeof value === "string";
  if (type === "string") return typeof value === "string" && value !== "";
  return typeof value === type;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { ConnectorError } from "@isthmus/shared/errors";
import { isPage } from "./answer.ts";

/**
 * What a status other than 2xx means and what to do about it. The classification is by status, by what was asked for and by
 * the names of .NET's exceptions in the body; the words of the body are only repeated.
 */

/** Own limit on what is repeated of an answer. */
const MAX_WORDS = 300;

/** What was asked for: the same status means different things. */
export type Asked = "rows" | "script" | "cmpivot-result" | "action";

export interface RefusedAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  /** Path and class, for the sentence: `wmi/SMS_R_System`. */
  readonly path: string;
  readonly asked: Asked;
}

interface Meaning {
  readonly code: string;
  readonly isRetryable: boolean;
  /** Behind "PATH: ". */
  readonly sentence: string;
}

/** The error for an answer that is not 2xx. */
export function errorOfAnswer(answer: RefusedAnswer): ConnectorError {
  const text = Buffer.from(answer.body).toString("utf8", 0, 65_536);
  const { words, exceptions } = errorIn(text);
  const { code, isRetryable, sentence } = meaningOf(answer, text, exceptions);
  const said = words === "" ? "" : ` (the site says: ${words})`;
  return new ConnectorError(code, `${answer.path}: ${sentence}${said}`, {
    isRetryable: isRetryable && mayRepeat(answer),
  });
}

/** Of an action that failed behind the front nobody knows how far it came; one that was not let in was not begun. */
function mayRepeat({ asked, status }: RefusedAnswer): boolean {
  return asked === "rows" || asked === "cmpivot-result" || status === 429 || status === 503;
}

function meaningOf(answer: RefusedAnswer, text: string, exceptions: readonly string[]): Meaning {
  const { status } = answer;
  if (status >= 300 && status < 400) return REDIRECT;
  if (status === 401) return UNAUTHORIZED;
  if (status === 403) return text.trim() === "" ? silentlyForbidden(answer.asked) : FORBIDDEN;
  if (isPage(text)) return page(status);
  if (exceptions.some((name) => /(?:^|\.)SecurityException$/.test(name))) return SECURITY;
  switch (status) {
    case 400:
      return BAD_REQUEST;
    case 404:
      return answer.asked === "cmpivot-result" ? NOT_READY : NOT_FOUND;
    case 408:
    case 502:
    case 503:
    case 504:
      return UNAVAILABLE;
    case 429:
      return THROTTLED;
    case 500:
      return FAILED;
    default:
      return other(status);
  }
}

const REDIRECT: Meaning = {
  code: "site-redirect",
  isRetryable: false,
  sentence:
    "the answer is a redirect, which is not followed because credentials go to the configured host alone; set site.url to the SMS provider itself",
};
const UNAUTHORIZED: Meaning = {
  code: "site-unauthorized",
  isRetryable: false,
  sentence:
    "the site does not accept our credentials; renew the token in site.tokenFile (tokens end after an hour or so), and see that its account is an administrative user of the site",
};
const FORBIDDEN: Meaning = {
  code: "site-forbidden",
  isRetryable: false,
  sentence:
    "the account may not do this; give its security role the right on this class and its security scope the objects",
};
const SECURITY: Meaning = {
  code: "site-security-exception",
  isRetryable: false,
  sentence:
    "the provider could not map the account to an administrative user; where the token names a cloud UPN, the on-premises one is needed: check that the user is synchronised and added to the site under its on-premises name",
};
const BAD_REQUEST: Meaning = {
  code: "site-bad-request",
  isRetryable: false,
  sentence:
    "the site refuses the request's form: an unknown or extra property, or a query option this release does not support",
};
const NOT_FOUND: Meaning = {
  code: "site-not-found",
  isRetryable: false,
  sentence:
    "there is no such class or object, or the account may not see it; names are case-sensitive and depend on the site's release",
};
const NOT_READY: Meaning = {
  code: "cmpivot-not-ready",
  isRetryable: true,
  sentence: "the devices have not answered the query yet; ask again",
};
const UNAVAILABLE: Meaning = {
  code: "site-unavailable",
  isRetryable: true,
  sentence:
    "the SMS provider does not answer behind its front; see the SMS_REST_PROVIDER component",
};
const THROTTLED: Meaning = {
  code: "site-throttled",
  isRetryable: true,
  sentence:
    "the site refuses so many requests at once; lower site.limits.requestsPerSecond or maxInFlight",
};
const FAILED: Meaning = {
  code: "site-failed",
  isRetryable: true,
  sentence: "the provider failed at it; AdminService.log and SMSProv.log on the provider say why",
};

/** The service says nothing in either case; what was asked for tells them apart. */
function silentlyForbidden(asked: Asked): Meaning {
  if (asked === "script") {
    return {
      code: "script-not-approved",
      isRetryable: false,
      sentence:
        "refused without a word: the script is not approved; have it approved in the console by somebody other than its author",
    };
  }
  return {
    code: "site-mfa-demanded",
    isRetryable: false,
    sentence:
      "refused without a word: the account's security role lacks the right, or the provider demands another way to authenticate (Windows Hello or a certificate; see Hierarchy Settings, Authentication, and exclude the bridge's account there)",
  };
}

function page(status: number): Meaning {
  return {
    code: "site-page",
    isRetryable: status >= 500,
    sentence: `a web page with status ${status} came: a proxy or IIS answers in place of the AdminService; check site.url and that the AdminService is enabled`,
  };
}

function other(status: number): Meaning {
  return {
    code: "site-status",
    isRetryable: status >= 500,
    sentence: `unexpected status ${status}; see AdminService.log on the provider`,
  };
}

interface ErrorBody {
  readonly words: string;
  /** Full names of .NET types. */
  readonly exceptions: readonly string[];
}

/** OData's `{"error": {"message", "innererror": {"message", "type"}}}` and Web API's `{"Message", "ExceptionType"}`. */
function errorIn(text: string): ErrorBody {
  const whole = jsonObject(text);
  const error = objectAt(whole, "error") ?? whole;
  const inner = objectAt(error, "innererror");
  const words = [
    textAt(error, "message") ??
      textAt(error, "Message") ??
      textAt(objectAt(error, "message"), "value"),
    textAt(inner, "message") ?? textAt(error, "ExceptionMessage"),
  ].filter((part) => part !== undefined && part !== "");
  const exceptions = [textAt(inner, "type"), textAt(error, "ExceptionType")];
  return {
    words: shortened([...new Set(words)].join(" ")),
    exceptions: exceptions.filter((name) => name !== undefined),
  };
}

function jsonObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function objectAt(of: object | undefined, name: string): object | undefined {
  const value = of === undefined ? undefined : (of as Record<string, unknown>)[name];
  return typeof value === "object" && value !== null ? value : undefined;
}

function textAt(of: object | undefined, name: string): string | undefined {
  const value = of === undefined ? undefined : (of as Record<string, unknown>)[name];
  return typeof value === "string" ? value : undefined;
}

function shortened(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .trim()
    .slice(0, MAX_WORDS)
    .toWellFormed();
}

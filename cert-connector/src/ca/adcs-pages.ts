/**
 * The pages of AD CS web enrolment, which are for people and in the server's language. What they are is told by the ids of
 * their elements, which are the same in every language, and never by their words:
 *
 *     issued   a link to certnew.cer?ReqID=<n>
 *     pending  locInfoReqID with the number, after a request; locInfoChkPnd when asked about later
 *     denied   locDenied, or locIssRev for one that was revoked since
 *     error    locReqFailed, locChkPndFailed or locDispMsgLabel; the message and an HRESULT in the list below
 */
export type AdcsPage =
  | { readonly kind: "issued"; readonly requestId: string }
  | { readonly kind: "pending"; readonly requestId: string | undefined }
  | { readonly kind: "denied"; readonly message: string }
  | { readonly kind: "failed"; readonly message: string; readonly code: number | undefined }
  | { readonly kind: "unknown" };

/** Our own limit, ten times what these pages have. Each part below is bounded too: what is read by patterns costs its square. */
const MAX_CHARACTERS = 131_072;

const ISSUED = /certnew\.cer\?ReqID=(\d{1,10})&/i;
const PENDING_ID = /ID="?locInfoReqID"?[^>]{0,200}>[^<]{0,500}?(\d{1,10})/i;
const STILL_PENDING = /ID="?locInfoChkPnd"?/i;
const DENIED = /ID="?loc(?:Denied|IssRev)"?[^>]{0,200}>([^<]{0,2000})/i;
const FAILED = /ID="?loc(?:ReqFailed|ChkPndFailed|DispMsgLabel)"?/i;
/** Of the denied page of today's versions, which says why in quotation marks. */
const QUOTED = /"([^"<>]{1,1000})"/;
const DISPOSITION = /ID="?locDispMsgLabel"?[\s\S]{0,200}?<DD>([\s\S]{0,2000}?)<\/DD>/i;
const RESULT = /ID="?locResultLabel"?[\s\S]{0,200}?<DD>([\s\S]{0,2000}?)<\/DD>/i;
/** HRESULTs of failures, as ICertRequest writes them. */
const HRESULT = /\b0x(8[0-9a-f]{7})\b/i;

/** What a page says. Never throws: a page that is none of these is `unknown`. */
export function readAdcsPage(page: string): AdcsPage {
  const html = page.slice(0, MAX_CHARACTERS);
  const [, issued] = ISSUED.exec(html) ?? [];
  if (issued !== undefined) return { kind: "issued", requestId: issued };
  const [, pending] = PENDING_ID.exec(html) ?? [];
  if (pending !== undefined) return { kind: "pending", requestId: pending };
  if (STILL_PENDING.test(html)) return { kind: "pending", requestId: undefined };
  const [, denied] = DENIED.exec(html) ?? [];
  if (denied !== undefined) {
    const [, reason] = QUOTED.exec(html.slice(html.indexOf(denied))) ?? [];
    return { kind: "denied", message: textOf(reason ?? denied) };
  }
  return FAILED.test(html) ? failureIn(html) : { kind: "unknown" };
}

function failureIn(html: string): AdcsPage {
  const [disposition, result] = [DISPOSITION, RESULT].map((part) =>
    textOf(part.exec(html)?.[1] ?? ""),
  );
  const [, hex] = HRESULT.exec(`${result} ${disposition}`) ?? HRESULT.exec(html) ?? [];
  return {
    kind: "failed",
    message: [disposition, result].filter((each) => each !== "").join("; "),
    code: hex === undefined ? undefined : Number.parseInt(hex, 16),
  };
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  nbsp: " ",
};

/** Without elements; the few entities that these pages write. */
function textOf(html: string): string {
  return html
    .replaceAll(/<[^>]{0,500}>/g, " ")
    .replaceAll(/&(amp|lt|gt|quot|nbsp);/g, (_, name: string) => ENTITIES[name] ?? "")
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** How many times the CA's certificate was renewed, from `certcarc.asp`: the newest has this number. */
export function renewalsIn(html: string): number | undefined {
  const [, count] = /\bnRenewals\s*=\s*(\d{1,4})\b/.exec(html) ?? [];
  return count === undefined ? undefined : Number(count);
}

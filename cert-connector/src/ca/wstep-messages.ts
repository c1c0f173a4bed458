import { ProtocolError } from "@isthmus/shared/errors";
import { XMLParser } from "fast-xml-parser";
import { z } from "zod";

/**
 * The messages of AD CS's Certificate Enrollment Web Service: WS-Trust in SOAP 1.2 ([MS-WSTEP] section 3.1.4). A request is
 * sent with Issue, and asked about with QueryTokenStatus by the number that its first answer gave.
 */
const NAMESPACES = {
  soap: "http://www.w3.org/2003/05/soap-envelope",
  addressing: "http://www.w3.org/2005/08/addressing",
  trust: "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
  security: "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
  enrolment: "http://schemas.microsoft.com/windows/pki/2009/01/enrollment",
  authorization: "http://schemas.xmlsoap.org/ws/2006/12/authorization",
} as const;
const ACTION = `${NAMESPACES.enrolment}/RST/wstep`;
const X509_TOKEN =
  "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const PASSWORD_TEXT =
  "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";

export interface WstepRequest {
  /** `urn:uuid:...`, new for each message. */
  readonly messageId: string;
  readonly to: string;
  /** A password that goes in the message itself, for an endpoint that wants that. */
  readonly login?: { readonly user: string; readonly password: string } | undefined;
  readonly of:
    | {
        readonly kind: "issue";
        readonly certificationRequest: Uint8Array;
        /** `name:value`, each to itself. */
        readonly attributes: Readonly<Record<string, string>>;
      }
    | { readonly kind: "status"; readonly requestId: string };
}

/** The envelope. Every value is escaped, so that it can be nothing but a text. */
export function encodeWstepRequest({ messageId, to, login, of }: WstepRequest): string {
  const { soap, addressing, trust } = NAMESPACES;
  const type = of.kind === "issue" ? `${trust}/Issue` : `${NAMESPACES.enrolment}/QueryTokenStatus`;
  return [
    `<s:Envelope xmlns:s="${soap}" xmlns:a="${addressing}"><s:Header>`,
    `<a:Action s:mustUnderstand="1">${ACTION}</a:Action>`,
    `<a:MessageID>${escaped(messageId)}</a:MessageID>`,
    `<a:ReplyTo><a:Address>${addressing}/anonymous</a:Address></a:ReplyTo>`,
    `<a:To s:mustUnderstand="1">${escaped(to)}</a:To>`,
    login === undefined ? "" : securityHeader(login),
    `</s:Header><s:Body><RequestSecurityToken xmlns="${trust}">`,
    `<TokenType>${X509_TOKEN}</TokenType><RequestType>${type}</RequestType>`,
    of.kind === "issue" ? issueBody(of) : statusBody(of),
    "</RequestSecurityToken></s:Body></s:Envelope>",
  ].join("");
}

function issueBody(of: Extract<WstepRequest["of"], { kind: "issue" }>): string {
  const { security, enrolment, authorization } = NAMESPACES;
  const items = Object.entries(of.attributes).map(
    ([name, value]) =>
      `<ContextItem Name="${escaped(name)}"><Value>${escaped(value)}</Value></ContextItem>`,
  );
  const request = Buffer.from(of.certificationRequest).toString("base64");
  return [
    `<BinarySecurityToken xmlns="${security}" ValueType="${enrolment}#PKCS10" EncodingType="${security}#base64binary">`,
    `${request}</BinarySecurityToken>`,
    `<AdditionalContext xmlns="${authorization}">${items.join("")}</AdditionalContext>`,
  ].join("");
}

function statusBody({ requestId }: { readonly requestId: string }): string {
  return `<RequestID xmlns="${NAMESPACES.enrolment}">${escaped(requestId)}</RequestID>`;
}

function securityHeader({ user, password }: { readonly user: string; readonly password: string }) {
  return [
    `<o:Security s:mustUnderstand="1" xmlns:o="${NAMESPACES.security}"><o:UsernameToken>`,
    `<o:Username>${escaped(user)}</o:Username>`,
    `<o:Password Type="${PASSWORD_TEXT}">${escaped(password)}</o:Password>`,
    "</o:UsernameToken></o:Security>",
  ].join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? "");
}

export type WstepAnswer =
  | {
      readonly kind: "issued";
      readonly certificate: Buffer;
      readonly requestId: string | undefined;
    }
  | { readonly kind: "pending"; readonly requestId: string; readonly message: string }
  | {
      readonly kind: "fault";
      readonly message: string;
      /** HRESULT, as an unsigned number. */
      readonly code: number | undefined;
      /** The CA decided against the request, rather than the service failing at it. */
      readonly isDenied: boolean;
    };

/** Our own limit; elements within one another. */
const MAX_ANSWER_CHARACTERS = 1_048_576;
const MAX_DEPTH = 32;

/** An element's text, whether or not it has attributes; an empty one, or one that is nil, has none. */
const text = z
  .union([z.string(), z.object({ "#text": z.string().default("") })])
  .transform((value) => (typeof value === "string" ? value : value["#text"]).trim());
const token = z.object({ "#text": z.string(), "@_ValueType": z.string() });
const response = z.object({
  DispositionMessage: text.optional(),
  RequestID: text.optional(),
  RequestedSecurityToken: z.object({ BinarySecurityToken: token.optional() }).optional(),
});
const fault = z.object({
  Reason: z.object({ Text: text }),
  Detail: z
    .object({
      CertificateEnrollmentWSDetail: z
        .object({ ErrorCode: text.optional(), InvalidRequest: text.optional() })
        .optional(),
    })
    .optional(),
});
const envelope = z.object({
  Envelope: z.object({
    Body: z.object({
      RequestSecurityTokenResponseCollection: z
        .object({ RequestSecurityTokenResponse: response })
        .optional(),
      Fault: fault.optional(),
    }),
  }),
});

/** Reads an answer. Throws ProtocolError `wstep-answer`; a document type, and with it any entity, is refused. */
export function parseWstepAnswer(xml: string): WstepAnswer {
  const parsed = envelope.safeParse(parsedXml(xml));
  const body = parsed.data?.Envelope.Body;
  if (body?.Fault !== undefined) return faultOf(body.Fault);
  const answer = body?.RequestSecurityTokenResponseCollection?.RequestSecurityTokenResponse;
  if (answer === undefined) throw unreadable("it has neither a response nor a fault");
  const issued = answer.RequestedSecurityToken?.BinarySecurityToken;
  const requestId = answer.RequestID === "" ? undefined : answer.RequestID;
  if (issued !== undefined) {
    return { kind: "issued", certificate: certificateIn(issued), requestId };
  }
  if (requestId === undefined) throw unreadable("it has neither a certificate nor a number");
  return { kind: "pending", requestId, message: answer.DispositionMessage ?? "" };
}

function parsedXml(xml: string): unknown {
  if (xml.length > MAX_ANSWER_CHARACTERS) {
    throw unreadable(`${xml.length} characters exceed ${MAX_ANSWER_CHARACTERS}`);
  }
  if (/<!DOCTYPE|<!ENTITY/i.test(xml)) throw unreadable("it has a document type");
  const parser = new XMLParser({
    ignoreAttributes: false,
    removeNSPrefix: true,
    parseTagValue: false,
    parseAttributeValue: false,
    processEntities: false,
    ignoreDeclaration: true,
    maxNestedTags: MAX_DEPTH,
  });
  try {
    return parser.parse(xml, true);
  } catch (cause) {
    throw new ProtocolError("wstep-answer", "WSTEP: the answer is no XML", cause);
  }
}

function certificateIn(of: z.infer<typeof token>): Buffer {
  const base64 = of["#text"].replaceAll(/\s|&#x?[0-9a-f]{1,4};/gi, "");
  if (of["@_ValueType"] !== X509_TOKEN || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw unreadable("its token is no certificate");
  }
  return Buffer.from(base64, "base64");
}

function faultOf({ Reason, Detail }: z.infer<typeof fault>): WstepAnswer {
  const detail = Detail?.CertificateEnrollmentWSDetail;
  const code = /^-?\d{1,10}$/.test(detail?.ErrorCode ?? "") ? Number(detail?.ErrorCode) : undefined;
  return {
    kind: "fault",
    message: unescaped(Reason.Text),
    code: code === undefined ? undefined : code >>> 0,
    isDenied: detail?.InvalidRequest === "true",
  };
}

/** The five entities of XML itself, and line ends by number, which these answers write. */
function unescaped(words: string): string {
  return words
    .replaceAll(/&#x?[0-9a-f]{1,4};/gi, " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&amp;", "&");
}

function unreadable(message: string): ProtocolError {
  return new ProtocolError("wstep-answer", `WSTEP: the answer cannot be read: ${message}`);
}

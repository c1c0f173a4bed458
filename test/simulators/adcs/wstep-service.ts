import { type AdcsAuthority, AdcsFailure, type AdcsRequest, HRESULT } from "./adcs-authority.ts";

/** The Certificate Enrollment Web Service as [MS-WSTEP] has it; a message that is not exactly so gets a fault. */

const ENROLMENT = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment";
const TRUST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const SECURITY =
  "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const TOKEN =
  "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

export interface WstepReply {
  readonly status: 200 | 500;
  readonly body: string;
}

/** `login`: what a username token in the message has to say; none where another layer knows who asks. */
export async function answerWstep(
  xml: string,
  authority: AdcsAuthority,
  address: string,
  login: { readonly user: string; readonly password: string } | undefined,
): Promise<WstepReply> {
  const messageId = part(xml, "a:MessageID");
  try {
    checkHeader(xml, messageId, address, login);
    return { status: 200, body: response(await entryFor(xml, authority), messageId) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { status: 500, body: fault(error, messageId) };
  }
}

function checkHeader(
  xml: string,
  messageId: string,
  address: string,
  login: { readonly user: string; readonly password: string } | undefined,
): void {
  expect(
    /^<s:Envelope xmlns:s="http:\/\/www\.w3\.org\/2003\/05\/soap-envelope"/.test(xml),
    "envelope",
  );
  expect(part(xml, "a:Action") === `${ENROLMENT}/RST/wstep`, "action");
  expect(new RegExp(`^urn:uuid:${UUID}$`).test(messageId), "message id");
  expect(part(xml, "a:To") === address, "address");
  expect(part(xml, "TokenType") === TOKEN, "token type");
  expect(xml.includes(`<RequestSecurityToken xmlns="${TRUST}">`), "request");
  if (login === undefined) expect(!xml.includes("UsernameToken"), "no user name token");
  else {
    const shown = [part(xml, "o:Username"), part(xml, "o:Password")];
    expect(shown.join() === [login.user, login.password].join(), "user name token");
  }
}

async function entryFor(xml: string, authority: AdcsAuthority): Promise<AdcsRequest> {
  switch (part(xml, "RequestType")) {
    case `${TRUST}/Issue`: {
      const token = `ValueType="${ENROLMENT}#PKCS10" EncodingType="${SECURITY}#base64binary"`;
      expect(xml.includes(`<BinarySecurityToken xmlns="${SECURITY}" ${token}>`), "token");
      const der = Buffer.from(part(xml, "BinarySecurityToken"), "base64");
      return decided(await authority.submit(der, contextOf(xml)));
    }
    case `${ENROLMENT}/QueryTokenStatus`:
      return decided(authority.find(Number(part(xml, "RequestID"))));
    default:
      throw new Error("request type");
  }
}

function contextOf(xml: string): Map<string, string> {
  const items = xml.matchAll(/<ContextItem Name="([^"]*)"><Value>([^<]*)<\/Value><\/ContextItem>/g);
  return new Map(
    Array.from(items, ([, name = "", value = ""]) => [name.toLowerCase(), unescaped(value)]),
  );
}

function decided(entry: AdcsRequest): AdcsRequest {
  if (entry.state !== "denied") return entry;
  throw new AdcsFailure(HRESULT.deniedByPolicy, "Denied by Policy Module", entry.id);
}

function response({ id, state, certificate }: AdcsRequest, messageId: string): string {
  const isIssued = state === "issued" && certificate !== undefined;
  const token = isIssued
    ? `<BinarySecurityToken ValueType="${TOKEN}" EncodingType="${SECURITY}#base64binary" xmlns="${SECURITY}">${lines(certificate)}</BinarySecurityToken>`
    : `<SecurityTokenReference xmlns="${SECURITY}"><Reference URI="https://ces.corp.test/service.svc/CES"/></SecurityTokenReference>`;
  return envelope(
    `${ENROLMENT}/RSTRC/wstep`,
    messageId,
    `<RequestSecurityTokenResponseCollection xmlns="${TRUST}"><RequestSecurityTokenResponse>
<TokenType>${TOKEN}</TokenType>
<DispositionMessage xml:lang="de-DE" xmlns="${ENROLMENT}">${isIssued ? "Ausgestellt" : "Wird verarbeitet &amp; geprüft"}&#xD;</DispositionMessage>
<BinarySecurityToken ValueType="${SECURITY}#PKCS7" EncodingType="${SECURITY}#base64binary" xmlns="${SECURITY}">MIIRlAYJKoZI</BinarySecurityToken>
<RequestedSecurityToken>${token}</RequestedSecurityToken>
<RequestID xmlns="${ENROLMENT}">${id}</RequestID>
</RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>`,
  );
}

function fault(error: Error, messageId: string): string {
  const detail =
    error instanceof AdcsFailure
      ? `<s:Detail><CertificateEnrollmentWSDetail xmlns="${ENROLMENT}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><BinaryResponse i:nil="true"/><ErrorCode>${error.code | 0}</ErrorCode><InvalidRequest>${error.code !== HRESULT.unavailable}</InvalidRequest><RequestID${error.requestId === undefined ? ' i:nil="true"/>' : `>${error.requestId}</RequestID>`}</CertificateEnrollmentWSDetail></s:Detail>`
      : "";
  return envelope(
    `${ENROLMENT}/RequestSecurityTokenCertificateEnrollmentWSDetailFault`,
    messageId,
    `<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang="en-US">${error.message}</s:Text></s:Reason>${detail}</s:Fault>`,
  );
}

function envelope(action: string, messageId: string, body: string): string {
  return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:Action s:mustUnderstand="1">${action}</a:Action><a:RelatesTo>${messageId}</a:RelatesTo></s:Header><s:Body>${body}</s:Body></s:Envelope>`;
}

/** Lines of 64 characters, as Windows writes base64. */
function lines(der: Buffer): string {
  return (der.toString("base64").match(/.{1,64}/g) ?? []).join("&#xD;\n");
}

function part(xml: string, name: string): string {
  const [, content] = new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml) ?? [];
  expect(content !== undefined, name);
  return unescaped(content ?? "");
}

function unescaped(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}

function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`the message's ${what} is not as it should be`);
}

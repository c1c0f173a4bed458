import { generateKeyPairSync } from "node:crypto";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { assembleSigned, type Certificate } from "@isthmus/shared/x509/certificate";
import {
  encodeCertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import {
  implicit,
  integer,
  objectIdentifier,
  sequence,
  setOf,
  utf8String,
} from "@isthmus/shared/x509/der-writer";
import { type Extension, sidExtension } from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { SIGNATURE } from "@isthmus/shared/x509/signature";
import { describe, expect, test } from "vitest";
import { adcsFailure } from "./adcs-outcome.ts";
import { readAdcsPage, renewalsIn } from "./adcs-pages.ts";
import { requestAttributes, requestDeviation } from "./adcs-request.ts";
import { encodeWstepRequest, parseWstepAnswer } from "./wstep-messages.ts";

describe("a page of web enrolment", () => {
  test.each([
    [`<A Href="certnew.cer?ReqID=88&Enc=b64">`, { kind: "issued", requestId: "88" }],
    ["<P ID=locInfoReqID>\n要求 ID は 17 です。\n</P>", { kind: "pending", requestId: "17" }],
    [`<p id="locInfoReqID">Your Request Id is 17.</p>`, { kind: "pending", requestId: "17" }],
    ["<P ID=locInfoChkPnd> Still pending. </P>", { kind: "pending", requestId: undefined }],
    ["<P ID=locDenied> It was denied. </P>", { kind: "denied", message: "It was denied." }],
    ["<html>Login</html>", { kind: "unknown" }],
    ["", { kind: "unknown" }],
  ])("%s", (html, page) => {
    expect(readAdcsPage(html)).toEqual(page);
  });

  test("that says why a request failed is read with its HRESULT", () => {
    const html = `<P ID=locReqFailed>x</P><DT ID=locDispMsgLabel><B>m</B></DT><DD> Error &lt;1&gt; <!-- --></DD>
      <DT ID=locResultLabel><B>r</B></DT><DD>No such template. 0x80094800 (-2146875392)</DD>`;
    expect(readAdcsPage(html)).toEqual({
      kind: "failed",
      message: "Error <1>; No such template. 0x80094800 (-2146875392)",
      code: 0x80094800,
    });
  });

  test.each([
    ["ID=locInfoReqID", 70_000],
    ["ID=locInfoReqID>", 65_000],
    ["ID=locDenied", 80_000],
    ['ID=locReqFailed ID="locDispMsgLabel"<DD>', 25_000],
  ])("of %j, %i times, costs no minute in which nothing else is served", (part, times) => {
    const began = performance.now();
    readAdcsPage(part.repeat(times));
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test("tells how often the CA's certificate was renewed", () => {
    expect(renewalsIn("<script>var nRenewals=3;</script>")).toBe(3);
    expect(renewalsIn("<script></script>")).toBeUndefined();
  });
});

test("an HRESULT that passes is waited for, one of rights is a person's, others are final", () => {
  expect(thrownCode(() => adcsFailure(0x800706ba, "x"))).toBe("ca-unavailable");
  expect(thrownCode(() => adcsFailure(0x80094012, "x"))).toBe("ca-credentials");
  expect(thrownCode(() => adcsFailure(0x80070005, "x"))).toBe("ca-credentials");
  expect(adcsFailure(0x80094800, "x")).toMatchObject({ kind: "refused", code: "ca-refused" });
  expect(adcsFailure(undefined, "")).toMatchObject({ kind: "refused" });
});

describe("the attributes beside a request", () => {
  const linesFor = (names: readonly GeneralName[], sanAttribute: boolean) =>
    requestAttributes({ template: "Devices", sanAttribute }, {
      subjectAltNames: names,
    } as unknown as Certificate);

  test("name the template, and alternative names if they may", () => {
    const names: GeneralName[] = [
      { type: "dns", value: "a.example" },
      { type: "upn", value: "ada@example.com" },
      { type: "uri", value: "urn:x" },
    ];
    expect(linesFor(names, false)).toBe("CertificateTemplate:Devices\r\n");
    expect(linesFor(names, true)).toBe(
      "CertificateTemplate:Devices\r\nsan:dns=a.example&upn=ada@example.com&url=urn:x\r\n",
    );
  });

  test.each(["a&upn=root@example.com", "a\r\nCertificateTemplate:Root", "a\nb", "a\0"])(
    "hold no name that would become two: %j",
    (value) => {
      expect(linesFor([{ type: "dns", value }], true)).toBeUndefined();
    },
  );
});

describe("a WSTEP message", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const certificationRequest = privateKey.export({ type: "pkcs8", format: "der" });
  const message = (attributes: Readonly<Record<string, string>>, password = "p") =>
    encodeWstepRequest({
      messageId: "urn:uuid:1",
      to: "https://ces/CES?a=1&b=2",
      login: { user: "u", password },
      of: { kind: "issue", certificationRequest, attributes },
    });

  test("holds each value as a text and nothing else", () => {
    const text = message({ 'a"><b>': '</Value><Value>&x"' }, "<&>");
    expect(text).not.toMatch(/<b>|<\/Value><Value>|<&>/);
    expect(text).toContain("https://ces/CES?a=1&amp;b=2");
    expect(text).toContain("<o:Password Type=");
  });

  const TOKEN =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
  const answer = (inner: string) =>
    `<s:Envelope xmlns:s="x"><s:Body><c:RequestSecurityTokenResponseCollection><c:RequestSecurityTokenResponse>${inner}</c:RequestSecurityTokenResponse></c:RequestSecurityTokenResponseCollection></s:Body></s:Envelope>`;

  test("with a certificate, whatever its prefixes and line ends are, is read", () => {
    const token = `<w:BinarySecurityToken ValueType="${TOKEN}">AQID&#xD;\nBAU=</w:BinarySecurityToken>`;
    const xml = answer(
      `<RequestedSecurityToken>${token}</RequestedSecurityToken><RequestID>7</RequestID>`,
    );
    expect(parseWstepAnswer(xml)).toEqual({
      kind: "issued",
      certificate: Buffer.from([1, 2, 3, 4, 5]),
      requestId: "7",
    });
  });

  test("that is a fault is read with its HRESULT, which is signed there", () => {
    const detail =
      "<CertificateEnrollmentWSDetail><ErrorCode>-2146877420</ErrorCode><InvalidRequest>true</InvalidRequest></CertificateEnrollmentWSDetail>";
    const xml = `<s:Envelope xmlns:s="x"><s:Body><s:Fault><s:Reason><s:Text xml:lang="en">a &lt; b</s:Text></s:Reason><s:Detail>${detail}</s:Detail></s:Fault></s:Body></s:Envelope>`;
    expect(parseWstepAnswer(xml)).toEqual({
      kind: "fault",
      message: "a < b",
      code: 0x80094014,
      isDenied: true,
    });
  });

  test.each([
    "",
    "no xml",
    "<a/>",
    "<s:Envelope><s:Body/></s:Envelope>",
    answer("<RequestID/>"),
    answer(
      `<RequestedSecurityToken><B:BinarySecurityToken ValueType="#PKCS7">AQID</B:BinarySecurityToken></RequestedSecurityToken>`,
    ),
    answer(
      `<RequestedSecurityToken><BinarySecurityToken ValueType="${TOKEN}">&amp;&lt;</BinarySecurityToken></RequestedSecurityToken>`,
    ),
    `<!DOCTYPE a [<!ENTITY b "c">]>${answer("<RequestID>&b;</RequestID>")}`,
    answer("<a>".repeat(100) + "</a>".repeat(100)),
    answer(`<RequestID>${"1".repeat(1_048_577)}</RequestID>`),
  ])("that is none of these is refused: %#", (xml) => {
    expect(thrownCode(() => parseWstepAnswer(xml))).toBe("wstep-answer");
  });
});

describe("a request that would steer AD CS is not sent", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = parseNameText("CN=pc-1,O=Example");
  const planned = { subject, subjectAltNames: [] } as unknown as Certificate;
  const settings = { template: "Devices", sanAttribute: false };
  const deviationOf = async (extensionRequest: readonly Extension[]) => {
    const der = await encodeCertificationRequest({ subject, extensionRequest }, privateKey);
    return requestDeviation(parseCertificationRequest(der), planned, settings);
  };

  test.each([
    ["another template by name", "1.3.6.1.4.1.311.20.2"],
    ["another template by identifier", "1.3.6.1.4.1.311.21.7"],
    ["application policies beyond the template's", "1.3.6.1.4.1.311.21.10"],
  ])("%s", async (_, oid) => {
    const value = Buffer.from([0x30, 0]);
    expect(await deviationOf([{ oid, critical: false, value }])).toContain(oid);
    expect(await deviationOf([])).toBeUndefined();
  });

  test("another account", async () => {
    const sid = sidExtension("S-1-5-21-1-2-3-500");
    expect(await deviationOf([sid])).toContain(sid.oid);
  });

  test("attributes that belong beside a request, in it", () => {
    const pair = sequence(
      objectIdentifier("1.3.6.1.4.1.311.13.2.1"),
      setOf(sequence(utf8String("san"), utf8String("upn=administrator@example.com"))),
    );
    const info = sequence(
      integer(0),
      subject.der,
      publicKeyInfoOf(privateKey),
      implicit(0, pair, true),
    );
    const der = assembleSigned(info, SIGNATURE.ecdsaWithSHA256, Buffer.alloc(70));
    const request = parseCertificationRequest(der);
    expect(requestDeviation(request, planned, settings)).toContain("beside");
  });
});

import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readAdcsPage } from "./adcs-pages.ts";
import { parseWstepAnswer } from "./wstep-messages.ts";

const TOKEN =
  "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const answer = `<s:Envelope xmlns:s="x"><s:Body><RequestSecurityTokenResponseCollection><RequestSecurityTokenResponse><DispositionMessage xml:lang="en">Issued</DispositionMessage><RequestedSecurityToken><BinarySecurityToken ValueType="${TOKEN}">AQID</BinarySecurityToken></RequestedSecurityToken><RequestID>7</RequestID></RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection></s:Body></s:Envelope>`;
const page = `<HTML><P ID=locInfoReqID>Id 5.</P><P ID=locDenied>no "why"</P><DT ID=locDispMsgLabel></DT><DD>x</DD><DT ID=locResultLabel></DT><DD>0x80094800</DD></HTML>`;

function mutated(valid: string) {
  return fc
    .tuple(fc.nat(valid.length), fc.nat(30), fc.string({ maxLength: 12 }))
    .map(([at, removed, added]) => valid.slice(0, at) + added + valid.slice(at + removed));
}

test("an answer of WSTEP is read or refused, whatever it is", () => {
  fc.assert(
    fc.property(fc.oneof(mutated(answer), fc.string()), (xml) => {
      try {
        parseWstepAnswer(xml);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("a page of web enrolment is read, whatever it is", () => {
  fc.assert(
    fc.property(fc.oneof(mutated(page), fc.string()), (html) => {
      expect(readAdcsPage(html).kind).toMatch(/^(issued|pending|denied|failed|unknown)$/);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

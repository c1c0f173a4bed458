import { testAuthority, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { sidExtension, subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { describe, expect, test } from "vitest";
import {
  DEFAULT_DEVICE_ID_PREFIX,
  issuerIdOf,
  readIdentity,
  type TrustAnchor,
} from "./identity.ts";
import { PeerCertificates } from "./peer-certificates.ts";

const authority = await testAuthority();
const anchor: TrustAnchor = {
  name: "devices",
  authorities: [authority.certificate],
  mayAssert: ["deviceId", "userPrincipalName", "sid"],
  deviceIdPrefix: DEFAULT_DEVICE_ID_PREFIX,
  revocation: { hasLists: false, hasOcsp: false },
};
const SID = "S-1-5-21-1-2-3-1104";
const device: GeneralName = { type: "uri", value: "urn:isthmus:device:d1" };
const user: GeneralName = { type: "upn", value: "Alice@Example.com" };
const sidUri: GeneralName = { type: "uri", value: `tag:microsoft.com,2022-09-14:sid:${SID}` };

async function read(
  names: readonly GeneralName[],
  change: Partial<TrustAnchor> = {},
  sid?: string,
) {
  const extensions = [
    ...(names.length > 0 ? [subjectAltNameExtension(names)] : []),
    ...(sid === undefined ? [] : [sidExtension(sid)]),
  ];
  const { certificate } = await testCertificate({ extensions }, authority);
  return readIdentity(certificate, { ...anchor, ...change });
}

test("device id, user and SID are read", async () => {
  const identity = { deviceId: "d1", userPrincipalName: "alice@example.com", sid: SID };
  expect(await read([device, user, sidUri])).toEqual({ identity });
});

test("a SID may stand in the extension, and in both places when it is the same", async () => {
  expect((await read([device], {}, SID)).identity?.sid).toBe(SID);
  expect((await read([device, sidUri], {}, SID)).identity?.sid).toBe(SID);
  const other = await read([device, sidUri], {}, "S-1-5-21-9-9-9-500");
  expect(other.refusal?.code).toBe("certificate-identity-ambiguous");
});

test("an anchor's certificates are believed only what it may assert", async () => {
  const { identity } = await read([device, user, sidUri], { mayAssert: ["userPrincipalName"] });
  expect(identity).toEqual({ userPrincipalName: "alice@example.com" });
});

test("a certificate with nothing that its anchor may assert is refused", async () => {
  const refused = await read([user], { mayAssert: ["deviceId"] });
  expect(refused.refusal?.code).toBe("certificate-identity-missing");
  expect(refused.refusal?.rule).toBe("anchor/devices");
  expect((await read([])).refusal?.code).toBe("certificate-identity-missing");
});

test("two device ids are refused, twice the same one is not", async () => {
  const other: GeneralName = { type: "uri", value: "urn:isthmus:device:d2" };
  expect((await read([device, other])).refusal?.code).toBe("certificate-identity-ambiguous");
  expect((await read([device, device])).identity?.deviceId).toBe("d1");
});

test("another form of the device id is a matter of the anchor", async () => {
  const intune: GeneralName = { type: "uri", value: "IntuneDeviceId://d7" };
  const { identity } = await read([intune], { deviceIdPrefix: "IntuneDeviceId://" });
  expect(identity?.deviceId).toBe("d7");
});

describe("ids that could mean something elsewhere are not read", () => {
  test.each(["", "../d1", "d1 d2", "d1?x", "d1%20", `d${"1".repeat(128)}`])("%s", async (id) => {
    const uri: GeneralName = { type: "uri", value: `urn:isthmus:device:${id}` };
    expect((await read([uri])).refusal?.code).toBe("certificate-identity-missing");
  });

  test("128 characters are the most", async () => {
    const uri: GeneralName = { type: "uri", value: `urn:isthmus:device:${"d".repeat(128)}` };
    expect((await read([uri])).identity?.deviceId).toHaveLength(128);
  });
});

describe("peer certificates", () => {
  const extensions = [subjectAltNameExtension([device])];

  test("the anchor is the one whose CA issued the certificate", async () => {
    const other = await testAuthority({ subject: "CN=Other" });
    const anchors = [{ ...anchor, name: "other", authorities: [other.certificate] }, anchor];
    const { certificate } = await testCertificate({ extensions, serialNumber: "77" }, authority);
    const verdict = new PeerCertificates(anchors).read(certificate.der);
    expect(verdict.certificate).toMatchObject({
      anchor: "devices",
      serialNumber: "77",
      key: `${issuerIdOf(authority.certificate)}:77`,
      identity: { deviceId: "d1" },
    });
  });

  test("a CA of the same name with another key issues nothing for the anchor", async () => {
    const impostor = await testAuthority();
    const { certificate } = await testCertificate({ extensions }, impostor);
    const { refusal } = new PeerCertificates([anchor]).read(certificate.der);
    expect(refusal?.code).toBe("certificate-untrusted");
  });

  test("what is no strict DER is refused", () => {
    const { refusal } = new PeerCertificates([anchor]).read(Buffer.from("30800000", "hex"));
    expect(refusal?.code).toBe("certificate-unreadable");
  });

  test("a CA renewed with the same key is the same issuer", async () => {
    const renewed = await testAuthority({ key: authority.key, serialNumber: "5002" });
    expect(issuerIdOf(renewed.certificate)).toBe(issuerIdOf(authority.certificate));
  });
});

import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemRandom } from "@isthmus/shared/random";
import {
  TEST_NOW,
  type TestIdentity,
  testAuthority,
  testCertificate,
} from "@isthmus/shared/testing/certificate-authority";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { derToPem } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AuthorityConfiguration, authorities } from "../config/authorities.ts";
import { type ContractParts, describeAuthority } from "../testing/authority-contract.ts";
import { authorityChecks, authorityHealth, remoteAuthorities } from "./remote-authorities.ts";

const folder = temporaryFolder();
const DAY_MS = 86_400_000;
let issuing: TestIdentity;
let identity: { certificateFile: string; keyFile: string };

const write = (name: string, content: string) => {
  const path = join(folder.path, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
};

beforeAll(async () => {
  const root = await testAuthority({ subject: "CN=Root" });
  issuing = await testAuthority({ subject: "CN=Issuing", serialNumber: "02" }, root);
  const chain = [issuing, root].map(({ certificate }) => derToPem(certificate.der, "CERTIFICATE"));
  write("chain.pem", chain.join(""));
  const { certificate, key } = await testCertificate({ subject: "CN=ra" });
  identity = {
    certificateFile: write("ra.pem", derToPem(certificate.der, "CERTIFICATE")),
    keyFile: write("ra.key", key.export({ type: "pkcs8", format: "pem" }).toString()),
  };
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  write("provisioner.jwk", JSON.stringify(privateKey.export({ format: "jwk" })));
  write("auth-key", "00112233445566778899aabbccddeeff\n");
  for (const name of ["role-id", "secret-id", "password"]) write(name, `${name}-content`);
});
afterAll(() => folder[Symbol.dispose]());

const file = (name: string) => join(folder.path, name);

/** What each kind needs beside its address. */
const KINDS: Record<AuthorityConfiguration["kind"], () => Record<string, unknown>> = {
  "step-ca": () => ({ provisioner: "isthmus", keyFile: file("provisioner.jwk") }),
  cfssl: () => ({ profile: "device", authKeyFile: file("auth-key") }),
  vault: () => ({
    role: "devices",
    login: { method: "approle", roleIdFile: file("role-id"), secretIdFile: file("secret-id") },
  }),
  ejbca: () => ({
    client: identity,
    authority: "Devices CA",
    certificateProfile: "DEVICE",
    endEntityProfile: "Devices",
  }),
  scep: () => ({}),
  "adcs-web": () => ({
    template: "Device",
    login: { method: "basic", user: "ra", passwordFile: file("password") },
  }),
  "adcs-ces": () => ({
    template: "Device",
    login: { method: "basic", user: "ra", passwordFile: file("password") },
  }),
};
type Kind = keyof typeof KINDS;

function configuration(kind: Kind, url: string, changes: Record<string, unknown> = {}) {
  const of = { kind, urls: [url], issuerFile: file("chain.pem"), ...KINDS[kind](), ...changes };
  const parsed = authorities.parse({ elsewhere: of })["elsewhere"];
  if (parsed === undefined) throw new Error("no configuration");
  return parsed;
}

const contractOf = (kind: Kind): ContractParts => ({
  kind,
  configuration: (url) => configuration(kind, url),
  issuing: () => issuing,
  canRevoke: !["scep", "adcs-web", "adcs-ces"].includes(kind),
});

for (const kind of Object.keys(KINDS) as Kind[]) describeAuthority(contractOf(kind));

describe("an authority elsewhere", () => {
  const means = { clock: new FakeClock(TEST_NOW), random: systemRandom, stateFolder: folder.path };

  async function made(kind: Kind, changes: Record<string, unknown> = {}, clock = means.clock) {
    const of = configuration(kind, "http://127.0.0.1:1", changes);
    const stack = new AsyncDisposableStack();
    const [authority] = await remoteAuthorities({ elsewhere: of }, { ...means, clock }, stack);
    if (authority === undefined) throw new Error("it was not made");
    return { authority, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  test("is known by its name and labels, and signs as the first certificate of issuerFile", async () => {
    await using it = await made("vault", { labels: ["device-ca"] });
    const { name, labels, kind } = it.authority;
    expect({ name, labels, kind }).toEqual({
      name: "elsewhere",
      labels: ["device-ca"],
      kind: "remote",
    });
    expect(it.authority.issuer().certificate.der).toEqual(issuing.certificate.der);
    expect(it.authority.issuer().chain).toHaveLength(2);
  });

  test("whose issuing certificate has expired gets no orders", async () => {
    await using it = await made("scep", {}, new FakeClock(TEST_NOW + 366 * DAY_MS));
    expect(it.authority.obstacle()).toContain("expired");
  });

  test("has a check of its own with a reason and a remedy, in the service and in `check`", async () => {
    const of = configuration("step-ca", "http://127.0.0.1:1");
    const [offline] = authorityChecks({ "Step.CA_1": of }, means);
    expect(offline?.name).toBe("authority-step-ca-1");
    expect(await offline?.run()).toMatchObject({
      status: "unhealthy",
      reason: expect.stringContaining("127.0.0.1:1 cannot be reached"),
      remedy: expect.stringContaining("authorities.Step.CA_1"),
    });
    await using it = await made("step-ca");
    const [running] = authorityHealth([it.authority]);
    expect(await running?.run()).toMatchObject({ status: "healthy" });
  });

  test("is not made from files that do not fit", async () => {
    write("leaf.pem", derToPem((await testCertificate()).certificate.der, "CERTIFICATE"));
    const faults: [Kind, Record<string, unknown>, string][] = [
      ["cfssl", { issuerFile: file("leaf.pem") }, "issuer-file"],
      ["cfssl", { authKeyFile: write("short-key", "0011") }, "cfssl-auth-key"],
      ["step-ca", { keyFile: write("no-key", "{}") }, "provisioner-key"],
      ["scep", { signer: identity }, "scep-signer"],
    ];
    for (const [kind, changes, code] of faults) {
      expect(await rejectedCode(() => made(kind, changes))).toBe(code);
    }
  });
});

describe("the configuration of authorities", () => {
  const faultsOf = (value: unknown) =>
    authorities.safeParse(value).error?.issues.map(({ message }) => message) ?? [];

  test("sends credentials over TLS only, or to this machine", () => {
    const of = { issuerFile: file("chain.pem"), kind: "step-ca", ...KINDS["step-ca"]() };
    for (const url of ["https://ca.example", "http://127.0.0.1:9000", "http://[::1]:9000"]) {
      expect(faultsOf({ a: { ...of, urls: [url] } })).toEqual([]);
    }
    const [fault] = faultsOf({ a: { ...of, urls: ["http://ca.example"] } });
    expect(fault).toContain("has to be https");
  });

  test("gives each a name that is not ours and not like another's", () => {
    const of = { issuerFile: file("chain.pem"), kind: "scep", urls: ["http://ca.example/scep"] };
    expect(faultsOf({ a: of, b: of })).toEqual([]);
    expect(faultsOf({ embedded: of })).toHaveLength(1);
    expect(faultsOf({ "ca.1": of, CA_1: of })).toHaveLength(1);
  });
});

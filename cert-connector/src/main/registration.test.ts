import { ConnectorError } from "@isthmus/shared/errors";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AuthorityFiles, readAuthorityFolder } from "../ca/authority-folder.ts";
import { embeddedAuthority } from "../ca/embedded-authority.ts";
import { Authorities } from "../core/authorities.ts";
import { goodIssuer, goodProfile } from "../core/fixture.ts";
import type { Issuer } from "../core/issuer.ts";
import type { CertificateAuthority } from "../core/ports.ts";
import type { RegistrationKeys } from "../device/registration-authority.ts";
import { makeAuthority } from "../testing/connector-under-test.ts";
import { ownRegistration, profileAuthorities } from "./registration.ts";

const folder = temporaryFolder();
let files: AuthorityFiles;
let remoteIssuer: Issuer;
beforeAll(async () => {
  const ca = await makeAuthority(folder.path, new FakeClock());
  files = readAuthorityFolder(ca.folder, "correct horse");
  ({ issuer: remoteIssuer } = await goodIssuer());
});
afterAll(() => folder[Symbol.dispose]());

const unavailable = () => {
  throw new ConnectorError("ca-unavailable", "not reached yet", { isRetryable: true });
};

function remote(changes: Partial<CertificateAuthority> = {}): CertificateAuthority {
  return {
    name: "partner",
    labels: ["any"],
    kind: "remote",
    issuer: () => remoteIssuer,
    obstacle: () => undefined,
    issue: () => Promise.resolve({ kind: "pending" }),
    revoke: () => Promise.resolve(),
    ...changes,
  };
}

const registration = { name: "the RA" } as unknown as RegistrationKeys;
const own = { name: "the CA" } as unknown as RegistrationKeys;

function behind(ca: string, authority = remote(), caCertificates?: "chain" | "single") {
  const embedded = { ...embeddedAuthority(files), labels: ["any"] };
  const authorityOf = profileAuthorities({
    files,
    authorities: new Authorities([authority, embedded]),
    registration,
    own,
    publisher: { current: { der: Buffer.from("list") } as never },
  });
  return authorityOf({ ...goodProfile, ca, caCertificates });
}

const names = (chain: readonly { readonly thumbprint: string }[]) =>
  chain.map(({ thumbprint }) => thumbprint);

test("each profile gives the chain of its own authority, and the RA's where that is another", () => {
  const embedded = [files.issuing.certificate, files.root];
  expect(names(behind("embedded").chain())).toEqual(names(embedded));
  expect(names(behind("partner").chain())).toEqual(names([...remoteIssuer.chain, ...embedded]));
});

test("certificates are asked for and renewed by the issuers of the profile alone", () => {
  expect(names(behind("embedded").issuers)).toEqual(names([files.issuing.certificate]));
  expect(names(behind("partner").issuers)).toEqual(names([remoteIssuer.certificate]));
  expect(behind("any").issuers).toHaveLength(2);
});

test("the list is that of an issuer which publishes here", () => {
  const { currentList } = behind("any");
  expect(currentList(files.issuing.certificate)).toEqual(Buffer.from("list"));
  expect(currentList(remoteIssuer.certificate)).toBeUndefined();
});

test("of several authorities the one that would sign now is told of, and any while none would", () => {
  const away = remote({ obstacle: () => "away" });
  expect(names(behind("any", away).chain())[0]).toBe(files.issuing.certificate.thumbprint);
  expect(names(behind("partner", away).chain())[0]).toBe(remoteIssuer.certificate.thumbprint);
  const unknown = remote({ obstacle: () => "away", issuer: unavailable });
  expect(() => behind("partner", unknown).chain()).toThrow(
    expect.objectContaining({ code: "ca-unavailable", isRetryable: true }),
  );
  expect(behind("partner", unknown).issuers).toEqual([]);
});

test("single takes the CA for its own RA, and only the embedded one has a next", () => {
  expect(behind("embedded", remote(), "single").registration).toBe(own);
  expect(behind("embedded").registration).toBe(registration);
  expect(behind("partner").nextChain).toEqual([]);
});

test("an EC authority, and one whose certificate does not say so, is not its own RA", async () => {
  expect(ownRegistration(files, 0)).toBeUndefined();
  const rsa = async (isOwnRa: boolean) => {
    using place = temporaryFolder();
    const ca = await makeAuthority(place.path, new FakeClock(), "rsa-2048", isOwnRa);
    return ownRegistration(readAuthorityFolder(ca.folder, "correct horse"), 0);
  };
  expect(await rsa(false)).toBeUndefined();
  expect((await rsa(true))?.accepted()).toHaveLength(1);
});

import { X509Certificate } from "node:crypto";
import { AccountDirectory } from "@isthmus/cert-connector/directory/account-directory";
import { CertificatePublication } from "@isthmus/cert-connector/directory/certificate-publication";
import { DirectoryPool } from "@isthmus/cert-connector/directory/directory-pool";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
} from "@isthmus/shared/testing/certificate-authority";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { until } from "@isthmus/shared/testing/until";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { afterAll, describe, expect, type TestContext, test } from "vitest";
import { type SambaDomain, startSambaDomain, userAttributes } from "./samba/samba-domain.ts";
import { startTcpRelay } from "./samba/tcp-relay.ts";

/** A domain of Active Directory made by Samba: what we read there is what its own programs say. */

const COMPUTER_GUID = /objectGUID: ([0-9a-f-]{36})/;
/** Names that mean something in a filter, in a distinguished name or in a template. */
const TRICKY = [
  { sam: "paren", cn: "Kahn (Bob)*", upn: "b(o)b*@corp.test" },
  { sam: "comma", cn: 'Doe, "Jane"; <j> # +1=2 \\', upn: "jane+doe=x@corp.test" },
  { sam: "umlaut", cn: "Jürgen Groß", upn: "jürgen@corp.test" },
  { sam: "braces", cn: "{{userName}}", upn: "{{username}}@corp.test" },
];

let domain: SambaDomain | undefined;
afterAll(() => domain?.[Symbol.asyncDispose]());

async function theDomain(context: TestContext): Promise<SambaDomain> {
  if (domain !== undefined) return domain;
  const started = await startSambaDomain(context);
  domain = started;
  await started.add([
    { relativeDn: "OU=People", attributes: { objectClass: "organizationalUnit" } },
    ...TRICKY.map(({ sam, cn, upn }) => ({
      relativeDn: `CN=${escapeDn(cn)},OU=People`,
      attributes: {
        ...userAttributes(sam, "Passw0rd.2"),
        userPrincipalName: upn,
        mail: `${sam}@corp.test`,
      },
    })),
    ...["twin-1", "twin-2"].map((sam) => ({
      relativeDn: `CN=${sam},OU=People`,
      attributes: { ...userAttributes(sam, "Passw0rd.2"), mail: "twins@corp.test" },
    })),
    {
      relativeDn: "CN=gone,OU=People",
      attributes: {
        ...userAttributes("gone", "Passw0rd.2"),
        userAccountControl: "514",
        userPrincipalName: "gone@corp.test",
      },
    },
    {
      relativeDn: "CN=PC-1,CN=Computers",
      attributes: {
        objectClass: "computer",
        sAMAccountName: "PC-1$",
        userAccountControl: "4096",
        dNSHostName: "pc-1.corp.test",
      },
    },
  ]);
  return started;
}

function escapeDn(value: string): string {
  return value.replace(/[\\"+,;<>=#]/g, (each) => `\\${each}`);
}

interface Changes {
  readonly urls?: readonly string[];
  readonly ca?: string | undefined;
  readonly password?: string;
  readonly startTls?: boolean;
  readonly maxConnections?: number;
  readonly filters?: { readonly user?: string; readonly device?: string };
}

function directoryOf({ address, ca, administrator, baseDn }: SambaDomain, changes: Changes = {}) {
  const pool = new DirectoryPool(
    {
      name: "ad",
      urls: changes.urls ?? [`ldaps://${address}`],
      ca: "ca" in changes ? changes.ca : ca,
      startTls: changes.startTls ?? true,
      bindDn: administrator.dn,
      password: () => changes.password ?? administrator.password,
      timeoutMs: 10_000,
    },
    changes.maxConnections ?? 2,
  );
  const accounts = new AccountDirectory({
    ...{ pool, baseDn, timeoutMs: 10_000, filters: changes.filters ?? {} },
  });
  return { pool, accounts, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
}

const grantOf = (userPrincipalName: string) => ({ userPrincipalName, subjectAltNames: [] });

test.for(TRICKY)(
  "finds $upn and its SID, as samba-tool shows it",
  async ({ sam, upn }, context) => {
    const { tool } = await theDomain(context);
    await using directory = directoryOf(await theDomain(context));
    const entry = await directory.accounts.find("user", grantOf(upn));
    const shown = unfolded(await tool("user", "show", sam));
    expect(shown).toContain(`objectSid: ${entry?.securityIdentifier}\n`);
    expect(entry?.variables).toMatchObject({
      onpremisessamaccountname: sam,
      emailaddress: `${sam}@corp.test`,
      userprincipalname: upn,
    });
    expect(dnIn(shown)).toBe(entry?.distinguishedName);
    expect(() => parseNameText(entry?.distinguishedName ?? "")).not.toThrow();
  },
);

test("finds a device by its object's GUID", async (context) => {
  const corp = await theDomain(context);
  await using directory = directoryOf(corp);
  const shown = await corp.search(corp.baseDn, "(sAMAccountName=PC-1$)", "objectGUID", "objectSid");
  const [, deviceId = ""] = COMPUTER_GUID.exec(shown) ?? [];
  const entry = await directory.accounts.find("device", { deviceId, subjectAltNames: [] });
  expect(shown).toContain(`objectSid: ${entry?.securityIdentifier}\n`);
  expect(entry?.variables).toEqual({
    azureaddeviceid: deviceId,
    devicename: "PC-1",
    fullyqualifieddomainname: "pc-1.corp.test",
    onprem_distinguished_name: "CN=PC-1,CN=Computers,DC=corp,DC=test",
    onpremisessamaccountname: "PC-1$",
  });
});

describe("what a challenge says is a value and nothing else", () => {
  test.for([
    "*",
    "*@corp.test",
    "paren@corp.test)(|(cn=*",
    "x)(objectClass=*",
    "a\\2a",
    "a\0b",
    "((((",
    "\\",
    "&",
    "é*",
  ])("%j finds nobody", async (upn, context) => {
    await using directory = directoryOf(await theDomain(context));
    expect(await directory.accounts.find("user", grantOf(upn))).toBeUndefined();
  });
});

test("a disabled account is not found", async (context) => {
  await using directory = directoryOf(await theDomain(context));
  expect(await directory.accounts.find("user", grantOf("gone@corp.test"))).toBeUndefined();
});

test("several accounts are refused, however many there are", async (context) => {
  const filters = { user: "(mail={{EmailAddress}})", device: "(objectClass=*)" };
  await using directory = directoryOf(await theDomain(context), { filters });
  const grant = { subjectAltNames: [], attributes: { EmailAddress: "twins@corp.test" } };
  for (const lookUp of ["user", "device"] as const) {
    expect(await rejectedCode(() => directory.accounts.find(lookUp, grant))).toBe(
      "directory-ambiguous",
    );
  }
});

describe("a connection", () => {
  test("is upgraded by StartTLS", async (context) => {
    const corp = await theDomain(context);
    await using directory = directoryOf(corp, { urls: [`ldap://${corp.address}`] });
    expect(await directory.accounts.find("user", grantOf("jane+doe=x@corp.test"))).toBeDefined();
  });

  test("in the clear is refused by the domain itself", async (context) => {
    const corp = await theDomain(context);
    const urls = [`ldap://${corp.address}`];
    await using directory = directoryOf(corp, { urls, startTls: false });
    expect(await rejectedCode(() => directory.accounts.probe())).toBe("directory-credentials");
  });

  test("needs a certificate that chains to the CA, for the name that was asked for", async (context) => {
    const corp = await theDomain(context);
    await using relay = await startTcpRelay({ host: corp.address, port: 636 });
    for (const changes of [{ ca: undefined }, { urls: [`ldaps://127.0.0.1:${relay.port}`] }]) {
      await using directory = directoryOf(corp, changes);
      expect(await rejectedCode(() => directory.accounts.probe())).toBe("directory-unreachable");
    }
    const { failure } = directoryOf(corp, { ca: undefined }).pool;
    expect(failure).toBeUndefined();
  });

  test("with a wrong password is told apart from one that cannot be made", async (context) => {
    const corp = await theDomain(context);
    await using wrong = directoryOf(corp, { password: "wrong" });
    expect(await rejectedCode(() => wrong.accounts.probe())).toBe("directory-credentials");
    await using nobody = directoryOf(corp, { urls: [`ldaps://${corp.address}:1`] });
    expect(await rejectedCode(() => nobody.accounts.probe())).toBe("directory-unreachable");
    expect(nobody.pool.failure).toMatchObject({ isRetryable: true });
  });

  test("to the next controller is made where the first is away", async (context) => {
    const corp = await theDomain(context);
    const urls = [`ldaps://${corp.address}:1`, `ldaps://${corp.address}`];
    await using directory = directoryOf(corp, { urls });
    await directory.accounts.probe();
    expect(directory.pool.failure).toBeUndefined();
  });

  test("is shared: many look-ups, no more connections than allowed, and all are answered", async (context) => {
    const corp = await theDomain(context);
    await using relay = await startTcpRelay({ host: corp.address, port: 389 });
    await using directory = relayed(corp, relay.port);
    const asked = Array.from({ length: 40 }, (_, at) =>
      directory.accounts.find("user", grantOf(TRICKY[at % TRICKY.length]?.upn ?? "")),
    );
    const found = await Promise.all(asked);
    expect(found.map((entry) => entry?.variables["onpremisessamaccountname"])).toEqual(
      Array.from({ length: 40 }, (_, at) => TRICKY[at % TRICKY.length]?.sam),
    );
    expect(relay.total).toBeLessThanOrEqual(2);
  });

  test("that was cut is made anew, bound again and encrypted again", async (context) => {
    const corp = await theDomain(context);
    await using relay = await startTcpRelay({ host: corp.address, port: 389 });
    await using directory = relayed(corp, relay.port);
    const find = () => directory.accounts.find("user", grantOf("jane+doe=x@corp.test"));
    expect(await find()).toBeDefined();
    relay.refuse(true);
    relay.cut();
    await until(() => relay.open === 0);
    expect(await rejectedCode(find)).toBe("directory-unreachable");
    relay.refuse(false);
    expect(await find()).toBeDefined();
    expect(relay.total).toBe(2);
  });
});

describe("certificates on an account", () => {
  const NOW = Date.UTC(2026, 5, 1);
  const DAY_MS = 86_400_000;

  test("are the newest ten of an issuer; what others put there stays, and what expired goes", async (context) => {
    const corp = await theDomain(context);
    await using directory = directoryOf(corp);
    const publication = new CertificatePublication(directory.pool);
    const entry = await directory.accounts.find("user", grantOf("jane+doe=x@corp.test"));
    const dn = entry?.distinguishedName ?? "";
    const [ours, others] = [await testAuthority({ subject: "CN=Ours" }), await testAuthority()];
    const made = async (days: number, issuer: TestIdentity, serialNumber: string) => {
      const notAfter = NOW + days * DAY_MS;
      const validity = { notBefore: NOW - 300 * DAY_MS, notAfter };
      return (await testCertificate({ ...validity, serialNumber }, issuer)).certificate.der;
    };
    const foreign = await made(-10, others, "aa");
    await publication.add(dn, foreign, NOW - 20 * DAY_MS);
    await publication.add(dn, await made(-10, ours, "bb"), NOW - 20 * DAY_MS);
    for (let each = 1; each <= 12; each += 1) {
      const der = await made(each, ours, each.toString(16).padStart(2, "0"));
      await publication.add(dn, der, NOW);
      await publication.add(dn, der, NOW);
    }
    const kept = await serialsOn(corp, dn);
    expect(kept).toEqual(["03", "04", "05", "06", "07", "08", "09", "0A", "0B", "0C", "AA"]);
    await publication.remove(dn, foreign);
    await publication.remove(dn, foreign);
    expect(await serialsOn(corp, dn)).toHaveLength(10);
    await publication.remove("CN=nobody,DC=corp,DC=test", foreign);
  });
});

async function serialsOn(corp: SambaDomain, dn: string): Promise<string[]> {
  const shown = await corp.search(dn, "-s", "base", "userCertificate");
  return Array.from(
    shown.matchAll(/^userCertificate:: (.*)$/gm),
    ([, base64 = ""]) => new X509Certificate(Buffer.from(base64, "base64")).serialNumber,
  ).sort();
}

/** Through a relay on this machine, whose name the controller's certificate has too. */
function relayed(corp: SambaDomain, port: number) {
  return directoryOf(corp, { urls: [`ldap://localhost:${port}`], maxConnections: 2 });
}

/** LDIF folds long lines, and writes what is not ASCII in base64. */
function unfolded(text: string): string {
  return text.replaceAll("\n ", "");
}

function dnIn(text: string): string | undefined {
  const [, colons, value = ""] = /^dn(::?) (.*)$/m.exec(text) ?? [];
  return colons === "::" ? Buffer.from(value, "base64").toString("utf8") : value;
}

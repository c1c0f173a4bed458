import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  CA_EXTENSIONS,
  type TestIdentity,
  testCertificate,
} from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";
import type { TestContext } from "vitest";
import { missing, peer } from "../../peers.ts";

const execute = promisify(execFile);
const DAY_MS = 86_400_000;
const STARTED_WITHIN_MS = 60_000;

/** A whole Active Directory domain, as Samba makes it: LDAP, LDAPS and Kerberos on a loopback address of its own. */
export interface SambaDomain extends AsyncDisposable {
  /** `127.x.y.z`; it listens on the usual ports there, which Samba cannot change. */
  readonly address: string;
  readonly realm: "CORP.TEST";
  readonly baseDn: "DC=corp,DC=test";
  readonly administrator: { readonly dn: string; readonly password: string };
  readonly folder: string;
  /** What its certificate chains to. */
  readonly caFile: string;
  readonly ca: string;
  /** For programs and libraries of MIT Kerberos: KRB5_CONFIG. */
  readonly krb5ConfigFile: string;
  /** Runs samba-tool on the domain's own database. */
  tool(...words: string[]): Promise<string>;
  /** Adds entries below the base, with the database's own program. Resolves to their names. */
  add(entries: readonly NewEntry[]): Promise<readonly string[]>;
  /** Sets when an account's password was changed (FILETIME), which no other program may. */
  setPasswordTime(relativeDn: string, time: string): Promise<void>;
  /** An enabled account with a keytab of its own, and a service principal name where it is a server's. */
  account(of: {
    readonly name: string;
    readonly servicePrincipal?: string;
  }): Promise<{ readonly keytabFile: string }>;
  /** Runs `ldbsearch` below `base` and resolves to its LDIF, lines unfolded. */
  search(base: string, ...words: string[]): Promise<string>;
}

export interface NewEntry {
  /** Below the base, as in RFC 4514. */
  readonly relativeDn: string;
  readonly attributes: Readonly<Record<string, string | Buffer>>;
}

/** Where the domain's controller runs, if not beside the tests: in a network namespace with that loopback address. */
export interface SambaPlace {
  launch(words: readonly string[]): ChildProcess;
  isListening(address: string, port: number): Promise<boolean>;
}

const PASSWORD = "Passw0rd.1";
/** DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID of Samba. */
const BYPASS_PASSWORD_HASH = "1.3.6.1.4.1.7165.4.3.12";
const SERVICES = "ldap, cldap, kdc";

/** Provisions and starts a domain: about 4 s. Skips the test where Samba or the rights for it are missing. */
export async function startSambaDomain(
  context: TestContext,
  place: SambaPlace = HERE,
): Promise<SambaDomain> {
  const sambaTool = peer("sambaTool", context);
  const samba = peer("samba", context);
  const ldbadd = peer("ldbadd", context);
  const ldbmodify = peer("ldbmodify", context);
  const ldbsearch = peer("ldbsearch", context);
  if (process.getuid?.() !== 0)
    missing("root (Samba's domain listens on ports below 1024)", context);
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(temporaryFolder()).path;
  const address = `127.${randomInt(64, 192)}.${randomInt(0, 256)}.${randomInt(1, 255)}`;
  const configFile = join(folder, "dc/etc/smb.conf");
  const runTool = async (...words: string[]) => {
    const { stdout } = await execute(sambaTool, [...words, `--configfile=${configFile}`]);
    return stdout;
  };
  await provision(sambaTool, folder, address);
  const { caFile, ca } = await configureTls(folder, address, configFile);
  const server = place.launch([
    ...[samba, "--foreground", "--no-process-group", "--model=single"],
    `--configfile=${configFile}`,
  ]);
  stack.defer(() => stop(server));
  const isListening = () => Promise.all([636, 88].map((port) => place.isListening(address, port)));
  await until(
    async () => (await isListening()).every(Boolean),
    "Samba's domain controller",
    STARTED_WITHIN_MS,
  );
  const baseDn = "DC=corp,DC=test";
  const administrator = { dn: `CN=Administrator,CN=Users,${baseDn}`, password: PASSWORD };
  const database = join(folder, "dc/private/sam.ldb");
  const add = async (entries: readonly NewEntry[]) => {
    const file = join(folder, "entries.ldif");
    writeFileSync(file, entries.map((entry) => ldif(entry, baseDn)).join("\n"));
    await execute(ldbadd, ["-H", database, file]);
    return entries.map(({ relativeDn }) => `${relativeDn},${baseDn}`);
  };
  const resources = stack.move();
  return {
    ...{ address, realm: "CORP.TEST", baseDn, administrator, folder, caFile, ca },
    krb5ConfigFile: writeKrb5Config(folder, address),
    tool: runTool,
    add,
    setPasswordTime: async (relativeDn, time) => {
      const file = join(folder, "change.ldif");
      const lines = ["changetype: modify", "replace: pwdLastSet", `pwdLastSet: ${time}`];
      writeFileSync(file, [`dn: ${relativeDn},${baseDn}`, ...lines, ""].join("\n"));
      await execute(ldbmodify, [
        `--controls=local_oid:${BYPASS_PASSWORD_HASH}:0`,
        "-H",
        database,
        file,
      ]);
    },
    account: async ({ name, servicePrincipal }) => {
      const attributes = {
        ...userAttributes(name, `Passw0rd.${name}`),
        userPrincipalName: `${name}@corp.test`,
        // AES with 128 and 256 bits ([MS-KILE] section 2.2.7), as for every account of a domain of today.
        "msDS-SupportedEncryptionTypes": "24",
        ...(servicePrincipal !== undefined && { servicePrincipalName: servicePrincipal }),
      };
      await add([{ relativeDn: `CN=${name},CN=Users`, attributes }]);
      const keytabFile = join(folder, `${name}.keytab`);
      const principal = servicePrincipal ?? `${name}@CORP.TEST`;
      await runTool("domain", "exportkeytab", keytabFile, `--principal=${principal}`);
      return { keytabFile };
    },
    search: async (base, ...words) => {
      const { stdout } = await execute(ldbsearch, ["-H", database, "-b", base, ...words]);
      return stdout.replaceAll("\n ", "");
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

const HERE: SambaPlace = {
  launch: ([program = "", ...words]) => spawn(program, words, { stdio: "ignore" }),
  isListening: answers,
};

/** The attributes of an enabled user with a password, which the database keeps as UTF-16. */
export function userAttributes(samAccountName: string, password: string) {
  return {
    objectClass: "user",
    sAMAccountName: samAccountName,
    userAccountControl: "512",
    clearTextPassword: Buffer.from(password, "utf16le"),
  };
}

/** RFC 2849, every value in base64, so that none is read as anything else. */
function ldif({ relativeDn, attributes }: NewEntry, baseDn: string): string {
  const dn = Buffer.from(`${relativeDn},${baseDn}`).toString("base64");
  const lines = Object.entries(attributes).map(
    ([type, value]) => `${type}:: ${Buffer.from(value).toString("base64")}`,
  );
  return [`dn:: ${dn}`, ...lines, ""].join("\n");
}

async function provision(sambaTool: string, folder: string, address: string): Promise<void> {
  await execute(sambaTool, [
    ...["domain", "provision", `--targetdir=${join(folder, "dc")}`, "--quiet"],
    ...["--realm=CORP.TEST", "--domain=CORP", "--server-role=dc", "--host-name=dc1"],
    ...[`--adminpass=${PASSWORD}`, "--dns-backend=NONE", `--host-ip=${address}`],
    // With a mask: Samba leaves out an address that no interface of the machine has.
    ...[`--option=interfaces=${address}/8`, "--option=bind interfaces only=yes"],
    ...[`--option=server services=${SERVICES}`, `--option=log file=${join(folder, "log")}`],
  ]);
}

async function configureTls(folder: string, address: string, configFile: string) {
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + 30 * DAY_MS };
  const authority = await testCertificate({
    ...{ subject: "CN=Corp Test CA", extensions: CA_EXTENSIONS, ...validity },
  });
  const controller = await testCertificate(
    {
      ...{ subject: "CN=dc1.corp.test", serialNumber: "4002", ...validity },
      extensions: [
        subjectAltNameExtension([
          { type: "dns", value: "dc1.corp.test" },
          { type: "ip", value: address },
          { type: "dns", value: "localhost" },
        ]),
      ],
    },
    authority,
  );
  const ca = pemOf(authority);
  const files = {
    ca: join(folder, "ca.pem"),
    crt: join(folder, "dc.pem"),
    key: join(folder, "dc.key"),
  };
  writeFileSync(files.ca, ca);
  writeFileSync(files.crt, pemOf(controller));
  writeFileSync(files.key, controller.key.export({ type: "pkcs8", format: "pem" }), {
    mode: 0o600,
  });
  const run = join(folder, "run");
  mkdirSync(run);
  appendGlobals(configFile, {
    "tls enabled": "yes",
    "tls keyfile": files.key,
    "tls certfile": files.crt,
    "tls cafile": files.ca,
    "pid directory": run,
    "ncalrpc dir": join(folder, "ncalrpc"),
    "ntp signd socket directory": join(folder, "ntp"),
    "winbindd socket directory": join(folder, "winbindd"),
  });
  return { caFile: files.ca, ca };
}

function pemOf({ certificate }: TestIdentity): string {
  return derToPem(certificate.der, "CERTIFICATE");
}

function appendGlobals(configFile: string, keys: Readonly<Record<string, string>>): void {
  const lines = Object.entries(keys).map(([key, value]) => `\t${key} = ${value}`);
  const [head = "", ...rest] = readFileSync(configFile, "utf8").split("[global]\n");
  writeFileSync(configFile, `${head}[global]\n${lines.join("\n")}\n${rest.join("[global]\n")}`);
}

function writeKrb5Config(folder: string, address: string): string {
  const file = join(folder, "krb5.conf");
  appendFileSync(
    file,
    [
      "[libdefaults]",
      " default_realm = CORP.TEST",
      " dns_lookup_realm = false",
      " dns_lookup_kdc = false",
      " rdns = false",
      " dns_canonicalize_hostname = false",
      "[realms]",
      ` CORP.TEST = { `,
      `  kdc = ${address}`,
      " }",
      "[domain_realm]",
      " .corp.test = CORP.TEST",
      "",
    ].join("\n"),
  );
  return file;
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (isUp: boolean) => {
      socket.destroy();
      resolve(isUp);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  server.once("exit", () => resolve());
  server.kill("SIGTERM");
  await promise;
}

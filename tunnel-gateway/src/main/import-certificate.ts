import { createPrivateKey, randomUUID, X509Certificate } from "node:crypto";
import {
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { isIP } from "node:net";
import { basename, dirname, join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CliCommand } from "@isthmus/shared/kernel/command";
import { loadConfiguration } from "@isthmus/shared/kernel/configuration";
import { pathKey } from "@isthmus/shared/kernel/configuration-keys";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { z } from "zod";
import { loadTlsMaterial } from "./tls-material.ts";

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** Where there were no files before. */
const CERTIFICATE_MODE = 0o644;
const KEY_MODE = 0o600;

/** Only where the files go: before the first import they are not there. */
const needed = z.object({
  tls: z.object({ certificateFile: pathKey(), keyFile: pathKey() }),
});

/** `import-cert`: puts a renewed certificate and its key in place; a running gateway takes them up by itself. */
export const importCertificate: CliCommand = {
  name: "import-cert",
  summary:
    "put a certificate (PEM, leaf first, then its chain) and its key in place of the gateway's",
  options: {
    config: CONFIG_OPTION,
    name: {
      type: "string",
      valueName: "NAME",
      summary: "a name that it must cover; those of the present certificate unless given",
      isRepeatable: true,
    },
  },
  positionals: [
    { name: "certificate", summary: "PEM file" },
    { name: "key", summary: "PEM file, not encrypted" },
  ],
  async run(call) {
    const [certificateFile = "", keyFile = ""] = call.positionals;
    const { tls } = loadConfiguration(needed, call.required("config"));
    const given = call.list("name");
    const names = given.length > 0 ? given : namesIn(tls.certificateFile);
    const { certificate, key } = readPair(certificateFile, keyFile);
    const leaf = judge(certificate, names, Date.now());
    // The key first: until both are there the gateway finds that they do not belong together, and keeps what it has.
    replace(tls.keyFile, key, KEY_MODE);
    replace(tls.certificateFile, certificate, CERTIFICATE_MODE);
    for (const line of chainNotes(certificate)) call.note(line);
    const covers = namesOf(leaf);
    const value = { names: covers, notAfter: leaf.validToDate.toISOString() };
    const text = `in place: ${covers.join(", ")}, valid until ${value.notAfter}; a running gateway takes it up within a second`;
    return { text, value };
  },
};

/** The two files, where they belong together. @throws ConnectorError that names the file which is wrong */
function readPair(certificateFile: string, keyFile: string) {
  const leaf = read(certificateFile, "certificate (PEM)", (pem) => new X509Certificate(pem));
  const key = read(keyFile, "key (PEM, not encrypted)", (pem) => createPrivateKey(pem));
  if (!leaf.checkPrivateKey(key)) {
    const message = `${keyFile} is not the key of the certificate in ${certificateFile}`;
    throw new ConnectorError("certificate-unfit", message);
  }
  return loadTlsMaterial({ certificateFile, keyFile }, []);
}

function read<Content>(file: string, what: string, parse: (pem: Buffer) => Content): Content {
  let pem: Buffer;
  try {
    pem = readFileSync(file);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConnectorError("certificate-unreadable", `${file} cannot be read: ${code}`, {
      cause,
    });
  }
  try {
    return parse(pem);
  } catch (cause) {
    throw new ConnectorError("certificate-unreadable", `${file} holds no ${what}`, { cause });
  }
}

/** The leaf, where it may serve. @throws ConnectorError `certificate-unfit` */
function judge(pem: string, names: readonly string[], now: number): X509Certificate {
  const leaf = new X509Certificate(pem);
  const unfit = (message: string) => new ConnectorError("certificate-unfit", message);
  if (leaf.validToDate.getTime() < now) throw unfit(`it expired on ${leaf.validTo}`);
  if (leaf.validFromDate.getTime() > now) throw unfit(`it is not valid before ${leaf.validFrom}`);
  const missing = names.filter((name) => !covers(leaf, name));
  if (missing.length === 0) return leaf;
  throw unfit(
    `it is for ${namesOf(leaf).join(", ") || "no name"} and not for ${missing.join(", ")}; give the names that it must cover with --name`,
  );
}

function covers(leaf: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return leaf.checkIP(name) !== undefined;
  return leaf.checkHost(name.replace(/^\*\./, "any.")) !== undefined;
}

function namesIn(file: string): readonly string[] {
  try {
    return namesOf(new X509Certificate(readFileSync(file)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new ConnectorError("certificate-unreadable", `${file} holds no certificate; use --name`);
  }
}

/** DNS names and addresses; quoted ones are odd, and compared by nobody. */
function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName.split(", ").flatMap((entry) => {
    const [, name] = /^(?:DNS|IP Address):([^"]+)$/.exec(entry) ?? [];
    return name ?? [];
  });
}

function chainNotes(pem: string): string[] {
  const chain = (pem.match(PEM_CERTIFICATE) ?? []).map((one) => new X509Certificate(one));
  const broken = chain.findIndex((one, at) => {
    const issuer = chain[at + 1];
    return issuer !== undefined && !one.checkIssued(issuer);
  });
  if (broken >= 0)
    return [`note: certificate ${broken + 2} of the file has not issued the one before it`];
  const [leaf] = chain;
  const isAlone = chain.length === 1 && leaf && leaf.subject !== leaf.issuer;
  return isAlone ? ["note: the file has no chain; clients may not know the issuer"] : [];
}

/** Whole or not at all, with mode and owner of what was there. */
function replace(file: string, content: string, mode: number): void {
  const former = statSync(file, { throwIfNoEntry: false });
  const next = join(dirname(file), `.${basename(file)}.${randomUUID()}`);
  try {
    const descriptor = openSync(next, "wx", former ? former.mode & 0o777 : mode);
    try {
      writeSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (former && process.geteuid?.() === 0) chownSync(next, former.uid, former.gid);
    renameSync(next, file);
  } catch (cause) {
    rmSync(next, { force: true });
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConnectorError("import-failed", `${file} cannot be written: ${code}`, { cause });
  }
}

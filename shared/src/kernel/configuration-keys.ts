import { X509Certificate } from "node:crypto";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { pemToDer } from "../x509/pem.ts";

/**
 * Building blocks for the keys of a local configuration file. A path is written relative to the file that names it and
 * arrives absolute; what is wrong with the file it names is a fault of its key.
 */

/** Own limit on the length of a path. */
const MAX_PATH_CHARACTERS = 4_096;
/** A secret's file: nothing for others, no writing by the group. Container secrets are often readable by a group. */
const FORBIDDEN_SECRET_MODE = 0o027;

type PathKind = "any" | "file" | "secret" | "authority";

/** What relative paths are relative to while `parseIn` runs a schema, which is synchronous. */
let baseFolder = ".";

/** Runs a schema so that relative paths in its input are relative to `folder`. */
export function parseIn<Output>(folder: string, schema: z.ZodType<Output>, input: unknown) {
  const before = baseFolder;
  baseFolder = folder;
  try {
    return schema.safeParse(input);
  } finally {
    baseFolder = before;
  }
}

/** A path that need not exist yet: a folder or a file that the service makes. */
export function pathKey() {
  return pathOf("any");
}

/** A file that has to exist and be readable. */
export function fileKey() {
  return pathOf("file");
}

/** A file that holds a secret: it has to exist, others may not read it and the group may not write it. */
export function secretFileKey() {
  return pathOf("secret");
}

/** A file that has to hold certificates in PEM: those of authorities that are believed. */
export function authorityFileKey() {
  return pathOf("authority");
}

function pathOf(kind: PathKind) {
  return z
    .string()
    .min(1)
    .max(MAX_PATH_CHARACTERS)
    .transform((text, context) => {
      const path = resolve(baseFolder, text);
      const fault = faultOf(path, kind);
      if (fault !== undefined) {
        context.issues.push({ code: "custom", message: fault, input: text });
      }
      return path;
    });
}

function faultOf(path: string, kind: PathKind): string | undefined {
  if (path.includes("\0")) return "holds a NUL character";
  if (kind === "any") return undefined;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return `there is no file ${path}`;
  if (!stat.isFile()) return `${path} is no regular file`;
  if (!isReadable(path)) return `${path} may not be read by this user (uid ${process.getuid?.()})`;
  if (kind === "secret" && (stat.mode & FORBIDDEN_SECRET_MODE) !== 0) {
    const mode = (stat.mode & 0o777).toString(8);
    return `${path} holds a secret and has mode ${mode}: chmod 600 it, or 640 for a group that reads it`;
  }
  return kind === "authority" ? certificatesFault(path) : undefined;
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** With what a certificate in DER begins: a SEQUENCE whose length takes two octets. */
const DER = Buffer.of(0x30, 0x82);

/** Windows exports DER unless told otherwise, and TLS passes over what is no PEM without a word. */
function certificatesFault(path: string): string | undefined {
  const bytes = readFileSync(path);
  if (bytes.subarray(0, DER.length).equals(DER)) {
    return `${path} holds DER, and PEM is expected: openssl x509 -inform der -in FILE -out FILE.pem`;
  }
  try {
    for (const der of pemToDer(bytes.toString("latin1"), "CERTIFICATE")) new X509Certificate(der);
    return undefined;
  } catch (error) {
    return `${path} cannot be read as certificates: ${(error as Error).message}`;
  }
}

/** An HTTP proxy; its credentials, `user:password`, are in a file of their own. */
export function proxyKey() {
  return z.strictObject({
    url: z
      .url({ protocol: /^https?$/ })
      .max(2_048)
      .refine((url) => !url.includes("@"), "holds credentials: use credentialsFile"),
    credentialsFile: secretFileKey().optional(),
  });
}

/** An IPv4 or IPv6 address to listen on. */
export function addressKey() {
  return z.string().refine((text) => isIP(text) !== 0, "is no IP address");
}

/** A TCP or UDP port; 0 lets the system choose, and `run.json` says which. */
export function portKey() {
  return z.number().int().min(0).max(65_535);
}

/** A directory server; `ldap:` is for those who upgrade it by StartTLS. */
export function ldapUrlKey() {
  return z
    .string()
    .max(512)
    .refine(isLdapUrl, "expected ldaps://host[:port] or ldap://host[:port], and nothing after it");
}

function isLdapUrl(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null &&
    /^ldaps?:$/.test(url.protocol) &&
    url.hostname !== "" &&
    /^ldaps?:\/\/[^/?#@]+$/.test(text)
  );
}

/** A regular expression that the whole of a value has to match. */
export function patternKey() {
  return z
    .string()
    .max(512)
    .refine(isRegularExpression, "is no regular expression")
    .describe("a regular expression that the whole value has to match");
}

function isRegularExpression(text: string): boolean {
  try {
    new RegExp(text, "u");
    return true;
  } catch {
    return false;
  }
}

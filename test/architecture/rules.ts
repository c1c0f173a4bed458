import { dirname, join, normalize } from "node:path";

/**
 * Who may import whom: the table of docs/architecture.md as code. Each folder under a service's `src` is one of a few
 * kinds; `shared` has its parts in one order; `suite` starts the services and plays a device.
 */

const SERVICES = ["tunnel-gateway", "cert-connector", "comgmt-bridge", "control-plane"] as const;

/** For each kind of folder of a service, the folders of that same service it may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: ["protocol"],
  core: ["core"],
  store: ["store", "core"],
  config: ["config"],
};

/** Adapters, named after whom they talk to: each imports itself, protocol and core, never another. */
const ADAPTERS: Readonly<Record<string, readonly string[]>> = {
  "tunnel-gateway": ["device", "packets", "directory", "revocation", "cloud"],
  "cert-connector": ["device", "ca", "directory", "intune", "webhook", "cloud"],
  "comgmt-bridge": ["site", "directory", "agents"],
  "control-plane": ["connector", "graph", "console", "portal", "signer"],
};

/** The parts of shared, lowest first: each imports itself and lower ranks. Files beside the folders are the lowest. */
const SHARED_RANK: Readonly<Record<string, number>> = {
  x509: 1,
  cmpivot: 1,
  store: 1,
  directory: 2,
  link: 2,
  kernel: 3,
  testing: 4,
};

/** Folders that decide or translate and never act; all that they may import from outside. */
const PURE = ["protocol", "core"];
const PURE_MODULES = /^(node:(buffer|crypto|util|zlib|assert|net)|zod|ipaddr\.js|fast-xml-parser)$/;
const PURE_SHARED =
  /^@isthmus\/shared\/(x509\/|cmpivot\/|configmgr\/|link\/(messages|inventory-messages|inventory-digest|site-messages|client-events)$|(errors|clock|random|bytes|limits|give-back)$)/;
const HIDDEN_DOORS =
  /\b(Math\.random|randomBytes|randomUUID|setInterval|setImmediate|performance|WebSocket|globalThis|getBuiltinModule|require)\b|\bimport\s*\(/;

/** Every reason why `file`, holding `source`, breaks the table; empty when it keeps it. */
export function refusals(file: string, source: string): string[] {
  const from = place(file);
  const code = withoutComments(source);
  const broken = importsOf(code).map((target) => refusal(file, from, target));
  const door = isPure(from) ? HIDDEN_DOORS.exec(code)?.[0] : undefined;
  return [...broken, door && `${door}: ${from.folder} is pure`].filter((r) => r !== undefined);
}

/** The roots that the table speaks of. */
export const ROOTS = [...SERVICES, "shared", "suite"];

function refusal(file: string, from: Place, target: string): string | undefined {
  if (target.startsWith("@isthmus/")) return refusalOfPackage(from, target);
  if (!target.startsWith(".")) return refusalOfModule(from, target);
  const to = place(normalize(join(dirname(file), target)));
  if (to.root !== from.root) return `${target}: import by package name, not by path`;
  if (from.root === "suite" || mayImport(from, to)) return undefined;
  return `${target}: ${from.folder} may not import ${to.folder}`;
}

function mayImport(from: Place, to: Place): boolean {
  if (from.folder === "main") return true;
  if (from.root === "shared") return mayImportInShared(from, to);
  const isAdapter = ADAPTERS[from.root]?.includes(from.folder) ?? false;
  const allowed = isAdapter ? [from.folder, "protocol", "core"] : MAY_IMPORT[from.folder];
  return allowed?.includes(to.folder) ?? false;
}

function mayImportInShared(from: Place, to: Place): boolean {
  const rank = (at: Place) => (at.isTopLevel ? 0 : (SHARED_RANK[at.folder] ?? Number.NaN));
  return to.folder === from.folder || rank(to) < rank(from) || (rank(from) === 0 && rank(to) === 0);
}

function refusalOfPackage(from: Place, target: string): string | undefined {
  const [, owner = "", folder = ""] = target.split("/");
  if (from.root === "shared") return `${target}: shared depends on nothing of the services`;
  if (owner !== "shared") {
    return from.root === "suite" && folder === "protocol"
      ? undefined
      : `${target}: services meet only on the wire`;
  }
  // The tour awaits conditions as a test does; nothing that serves may.
  if (folder === "testing" && from.root !== "suite") return `${target}: for tests alone`;
  return isPure(from) && !PURE_SHARED.test(target)
    ? `${target}: ${from.folder} is pure`
    : undefined;
}

function refusalOfModule(from: Place, target: string): string | undefined {
  return isPure(from) && !PURE_MODULES.test(target)
    ? `${target}: ${from.folder} is pure`
    : undefined;
}

function isPure(at: Place): boolean {
  if (at.root === "shared") return at.folder === "x509" || at.folder === "cmpivot";
  return PURE.includes(at.folder);
}

interface Place {
  readonly root: string;
  readonly folder: string;
  readonly isTopLevel: boolean;
}

/** `cert-connector/src/core/enrolment.ts` is in root cert-connector, folder core. */
function place(path: string): Place {
  const [root = "", , first = ""] = path.split("/");
  return { root, folder: first.replace(/\.ts$/, ""), isTopLevel: first.endsWith(".ts") };
}

function importsOf(code: string): string[] {
  const specifiers = code.matchAll(/\b(?:from|import)\s*["']([^"']+)["']/g);
  return [...specifiers].map(([, specifier = ""]) => specifier);
}

/** Comments may speak of anything; they open no door. */
function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, "$1");
}

import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { ConnectorError } from "../errors.ts";
import type { PublicKey, Service } from "../link/messages.ts";
import { checkConfiguration, loadConfiguration } from "./configuration.ts";
import type {
  ApprovalRule,
  BuiltInGuardrails,
  ObjectSchema,
  WindowLimit,
} from "./service-definition.ts";

/** Own limits. */
const MAX_KINDS = 100;
const MAX_APPROVERS = 100;
const MAX_WINDOW_MINUTES = 525_600;

const kindKey = z.string().regex(/^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)?$/, "is no kind of command");
const few = (record: Readonly<Record<string, unknown>>) => Object.keys(record).length <= MAX_KINDS;

const windowLimit = z.strictObject({
  max: z.number().int().min(0).max(1_000_000),
  perMinutes: z.number().int().min(1).max(MAX_WINDOW_MINUTES),
});

const approvalRule = z.strictObject({
  /** How many different approvers have to sign. */
  signatures: z.number().int().min(1).max(10).default(1),
  /** Whether `approve <id>` on the host will do instead. */
  local: z.boolean().default(true),
});

const approver = z.strictObject({
  name: z.string().min(1).max(128),
  publicKey: z.strictObject({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  }),
});

/** The guardrails that every service has. */
export interface CommonGuardrails {
  readonly commands: {
    readonly allow: readonly string[];
    readonly limits: Readonly<Record<string, WindowLimit>>;
    readonly approval: Readonly<Record<string, ApprovalRule>>;
  };
  readonly approvers: readonly { readonly name: string; readonly publicKey: PublicKey }[];
}

export interface Guardrails<Rules> extends CommonGuardrails {
  /** The service's own section. */
  readonly rules: Rules;
  /** The file, or `built-in`. */
  readonly source: string;
}

const commonGuardrails = z.strictObject({
  commands: z.strictObject({
    allow: z.array(kindKey).max(MAX_KINDS),
    limits: z.record(kindKey, windowLimit).refine(few, "has too many kinds").default({}),
    approval: z.record(kindKey, approvalRule).refine(few, "has too many kinds").default({}),
  }),
  approvers: z.array(approver).max(MAX_APPROVERS).default([]),
});

function guardrailsSchema<Rules>(service: Service, rules: ObjectSchema<Rules>) {
  // The type of a computed key would swallow the other keys' types; `assemble` reads it by name.
  const own = { [service]: rules.strict().prefault({}) } as Record<never, z.ZodType>;
  return commonGuardrails.extend(own).superRefine((file, context) => {
    for (const [kind, { local, signatures }] of Object.entries(file.commands.approval)) {
      if (local || signatures <= file.approvers.length) continue;
      context.addIssue({
        code: "custom",
        path: ["commands", "approval", kind],
        message: `needs ${signatures} signatures, but ${file.approvers.length} approvers are listed`,
      });
    }
  });
}

/** Reads the guardrails file. @throws ConfigurationError with every fault. */
export function loadGuardrails<Rules>(
  service: Service,
  rules: ObjectSchema<Rules>,
  file: string,
): Guardrails<Rules> {
  const loaded = loadConfiguration(guardrailsSchema(service, rules), file);
  return assemble<Rules>(service, loaded, file);
}

/** What is in force where no file is given. */
export function builtInGuardrails<Rules>(
  service: Service,
  rules: ObjectSchema<Rules>,
  { allow, limits = {} }: BuiltInGuardrails = { allow: ["health.report"] },
): Guardrails<Rules> {
  const source = "built-in guardrails";
  const file = { commands: { allow, limits } };
  const checked = checkConfiguration(guardrailsSchema(service, rules), file, source);
  return assemble<Rules>(service, checked, "built-in");
}

function assemble<Rules>(
  service: Service,
  file: CommonGuardrails,
  source: string,
): Guardrails<Rules> {
  const { commands, approvers } = file;
  const rules = (file as unknown as Readonly<Record<string, unknown>>)[service] as Rules;
  return { commands, approvers, rules, source };
}

/** Why this process could change the guardrails file, or undefined where it could not. */
export function whyWritable(file: string): string | undefined {
  if (mayWrite(file)) return `${file} may be written by this process`;
  if (mayWrite(dirname(file))) {
    return `${dirname(file)} may be written by this process, which could put another file in place`;
  }
  // The owner may change the mode. (On a file system mounted read-only `access` says so before it looks at the mode.)
  if (statSync(file).uid === process.geteuid?.()) return `${file} belongs to this process's user`;
  return undefined;
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * What is wrong with how the guardrails are kept, for health; undefined where nothing is.
 *
 * @throws ConnectorError `guardrails-writable`, `guardrails-missing` under `isStrict`.
 */
export function inspectGuardrailsFile(
  file: string | undefined,
  isStrict: boolean,
): { readonly reason: string; readonly remedy: string } | undefined {
  if (file === undefined) {
    const reason = "no guardrails file is configured; the built-in guardrails are in force";
    const remedy = "write a guardrails file and name it in the configuration as guardrailsFile";
    if (isStrict) throw new ConnectorError("guardrails-missing", `${reason}, and strict is set`);
    return { reason, remedy };
  }
  const reason = whyWritable(file);
  if (reason === undefined) return undefined;
  const remedy = "give file and folder to another user (root), mode 644, or mount them read-only";
  if (isStrict) throw new ConnectorError("guardrails-writable", `${reason}, and strict is set`);
  return { reason, remedy };
}

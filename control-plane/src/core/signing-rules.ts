import { createHash } from "node:crypto";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import {
  commandPayloads,
  enrolmentAnswer,
  JWS_TYPES,
  signedAuditHead,
  signedCommand,
  signedConfiguration,
} from "@isthmus/shared/link/messages";
import type { z } from "zod";
import { MAX_CHALLENGE_MINUTES, scepChallenge } from "./scep-challenge.ts";

/**
 * What the tenant key may sign: five kinds of statement, each by its schema, and no two different ones under one name. The
 * signer applies these rules itself, so that whoever has taken the rest of the control plane cannot rewrite a command that
 * a connector already has, nor have anything else signed.
 */

/** Our own limits. */
export const MAX_COMMAND_LIFETIME_MS = 31 * 86_400_000;
/** Names of statements remembered against a second, different one; over it the oldest go first. */
export const MAX_REMEMBERED = 50_000;

const SCHEMAS = {
  command: signedCommand,
  configuration: signedConfiguration,
  auditHead: signedAuditHead,
  challenge: scepChallenge,
  enrolment: enrolmentAnswer,
} as const;

export type StatementKind = keyof typeof SCHEMAS;

/** A statement that may be signed, with what the signer's log keeps of it. */
export interface AcceptedStatement {
  readonly kind: StatementKind;
  /** `typ` of the JWS. */
  readonly typ: string;
  /** What is signed, exactly. */
  readonly statement: unknown;
  /** SHA-256 of the statement's JSON, hex. */
  readonly hash: string;
  /** Each of these stands for one statement, for ever. */
  readonly names: readonly string[];
}

export class SigningRules {
  /** Name of a statement -> its hash, oldest first. */
  readonly #signed = new Map<string, string>();

  /**
   * Throws ConnectorError `statement-invalid` for what no schema describes, RefusalError for what a rule forbids:
   * `statement-conflict` (the id stands for another), `sequence-conflict` (the place among those of its connector does),
   * `command-kind`, `command-lifetime`, `challenge-lifetime`.
   */
  judge(kind: StatementKind, value: unknown): AcceptedStatement {
    const { statement, names } = describe(kind, value);
    const hash = statementHash(statement);
    const conflict = names.find((name) => (this.#signed.get(name.text) ?? hash) !== hash);
    if (conflict !== undefined) {
      const code = conflict.isPlace ? "sequence-conflict" : "statement-conflict";
      const message = `Another statement was signed as ${conflict.text}`;
      throw new RefusalError(code, "one statement for each name", message);
    }
    return { kind, typ: JWS_TYPES[kind], statement, hash, names: names.map(({ text }) => text) };
  }

  /** Remembers what was signed, now or, when the log is read at start, before. */
  remember(statement: Pick<AcceptedStatement, "names" | "hash">): void {
    for (const name of statement.names) {
      this.#signed.set(name, statement.hash);
      const [oldest] = this.#signed.size > MAX_REMEMBERED ? this.#signed.keys() : [];
      if (oldest !== undefined) this.#signed.delete(oldest);
    }
  }
}

/** SHA-256 of a statement's JSON, hex. */
export function statementHash(statement: unknown): string {
  return createHash("sha256").update(JSON.stringify(statement)).digest("hex");
}

interface Described {
  readonly statement: unknown;
  readonly names: readonly Name[];
}

/** `isPlace`: it says where among the statements of a connector, and the next place would do as well. */
interface Name {
  readonly text: string;
  readonly isPlace: boolean;
}

function describe(kind: StatementKind, value: unknown): Described {
  switch (kind) {
    case "command":
      return describeCommand(parse(kind, SCHEMAS.command, value));
    case "configuration": {
      const statement = parse(kind, SCHEMAS.configuration, value);
      const text = `configuration ${statement.aud} ${statement.version}`;
      return { statement, names: [{ text, isPlace: true }] };
    }
    case "challenge":
      return describeChallenge(parse(kind, SCHEMAS.challenge, value));
    case "auditHead":
      return { statement: parse(kind, SCHEMAS.auditHead, value), names: [] };
    case "enrolment":
      return { statement: parse(kind, SCHEMAS.enrolment, value), names: [] };
  }
}

function describeCommand(statement: z.infer<typeof signedCommand>): Described {
  const { kind, payload, issuedAt, expiresAt } = statement;
  if (!Object.hasOwn(commandPayloads, kind)) {
    throw new RefusalError(
      "command-kind",
      "known command kinds",
      `No command kind ${kind} is known`,
    );
  }
  const schema: z.ZodType = commandPayloads[kind as keyof typeof commandPayloads];
  const checked = { ...statement, payload: parse("command", schema, payload) };
  if (!(expiresAt >= issuedAt && expiresAt - issuedAt <= MAX_COMMAND_LIFETIME_MS)) {
    throw new RefusalError(
      "command-lifetime",
      "a command expires",
      `Command ${statement.id} lives ${expiresAt - issuedAt} ms, at most ${MAX_COMMAND_LIFETIME_MS} are allowed`,
    );
  }
  return {
    statement: checked,
    names: [
      { text: `command ${statement.id}`, isPlace: false },
      { text: `command ${statement.aud} ${statement.seq}`, isPlace: true },
    ],
  };
}

function describeChallenge(statement: z.infer<typeof scepChallenge>): Described {
  const minutes = (statement.exp - statement.iat) / 60_000;
  if (!(minutes > 0 && minutes <= MAX_CHALLENGE_MINUTES)) {
    throw new RefusalError(
      "challenge-lifetime",
      "a challenge expires",
      `Challenge lives ${minutes} minutes, at most ${MAX_CHALLENGE_MINUTES} are allowed`,
    );
  }
  return { statement, names: [{ text: `challenge ${statement.jti}`, isPlace: false }] };
}

function parse<T>(kind: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ConnectorError(
    "statement-invalid",
    `Not a ${kind} that can be signed: ${issue?.path.join(".")}: ${issue?.message}`,
  );
}

import { ConnectorError } from "../../errors.ts";
import type { Row, SqlValue } from "../transaction.ts";

/** Statements sent in one go, and their answers: the part of the driver's protocol that it offers to query classes. */

export interface Statement {
  /** With `$1` for values. */
  readonly text: string;
  readonly values: readonly SqlValue[];
  /** Stops after this many rows; all where absent. */
  readonly maxRows?: number;
}

export interface StatementResult {
  /** Of the command tag, e.g. 2 in `UPDATE 2`. */
  readonly changes: number;
  readonly rows: Row[];
  /** More rows wait behind `maxRows`. */
  readonly isCut: boolean;
  /** The first word of the command tag, e.g. `COMMIT`. */
  readonly command: string;
}

/** What PostgreSQL answers in place of a result (its protocol's ErrorResponse), or a broken connection. */
export interface PipelineFailure {
  /** SQLSTATE; undefined where the connection broke. */
  readonly sqlState: string | undefined;
  readonly message: string;
  /** The statement at fault; those before it were run. */
  readonly index: number;
}

export type PipelineOutcome =
  | { readonly ok: true; readonly results: readonly StatementResult[] }
  | { readonly ok: false; readonly failure: PipelineFailure };

/** The driver's connection, as far as it is used here (github.com/brianc/node-postgres, lib/connection.js). */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  parse(of: { readonly name: string; readonly text: string }): void;
  bind(of: {
    readonly statement: string;
    readonly values: readonly (string | Buffer | null)[];
  }): void;
  describe(of: { readonly type: "P"; readonly name: string }): void;
  execute(of: { readonly rows?: number }): void;
  sync(): void;
}

/** The driver's error; what the server sent has a severity. */
interface ServerError {
  readonly message: string;
  readonly code?: string;
  readonly severity?: string;
}

interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

/** Own limit on statements that a connection keeps prepared; texts beyond it are parsed each time. */
const MAX_PREPARED = 1_000;

/** Object identifiers of types (pg_type.dat) whose text form is read as something else than text. */
const BOOL = 16;
const BYTEA = 17;
const INTEGERS: ReadonlySet<number> = new Set([20, 21, 23, 26]);
const NUMERIC = 1_700;
const FLOATS: ReadonlySet<number> = new Set([700, 701]);

/** The names under which a connection has prepared its statements. */
export class PreparedStatements {
  readonly #names = new Map<string, string>();
  #lastNumber = 0;

  nameOf(text: string): string | undefined {
    return this.#names.get(text);
  }

  /** A name that was never used; empty once there are too many, which prepares a text for one use. */
  newName(): string {
    if (this.#names.size >= MAX_PREPARED) return "";
    this.#lastNumber += 1;
    return `s${this.#lastNumber}`;
  }

  keep(text: string, name: string): void {
    if (name !== "") this.#names.set(text, name);
  }
}

/**
 * One round trip for any number of statements: each is parsed where it is new, bound and executed, and one Sync ends them
 * all. After the first error the server skips the rest (PostgreSQL documentation, section 55.2.3).
 */
export class Pipeline {
  readonly #statements: readonly Statement[];
  readonly #prepared: PreparedStatements;
  readonly #done: (outcome: PipelineOutcome) => void;
  readonly #results: StatementResult[] = [];
  #fields: readonly Field[] = [];
  #rows: Row[] = [];
  #rowFault: string | undefined;
  #failure: PipelineFailure | undefined;
  #isOver = false;
  /** Texts sent with Parse and not confirmed yet, in order. */
  readonly #parsing: { readonly text: string; readonly name: string }[] = [];

  constructor(
    statements: readonly Statement[],
    prepared: PreparedStatements,
    done: (outcome: PipelineOutcome) => void,
  ) {
    this.#statements = statements;
    this.#prepared = prepared;
    this.#done = done;
  }

  /** Called by the driver when it is this one's turn. */
  submit(connection: unknown): void {
    const wire = connection as Wire;
    wire.stream.cork();
    const sent = new Map<string, string>();
    for (const { text, values, maxRows } of this.#statements) {
      const name = this.#prepared.nameOf(text) ?? sent.get(text) ?? this.#parse(wire, text, sent);
      wire.bind({ statement: name, values: values.map(toWire) });
      wire.describe({ type: "P", name: "" });
      wire.execute(maxRows === undefined ? {} : { rows: maxRows });
    }
    wire.sync();
    wire.stream.uncork();
  }

  #parse(wire: Wire, text: string, sent: Map<string, string>): string {
    const name = this.#prepared.newName();
    if (name !== "") sent.set(text, name);
    this.#parsing.push({ text, name });
    wire.parse({ name, text });
    return name;
  }

  /** To be called for each ParseComplete of the connection while this is under way. */
  parsed(): void {
    const confirmed = this.#parsing.shift();
    if (confirmed !== undefined) this.#prepared.keep(confirmed.text, confirmed.name);
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    this.#fields = fields;
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    try {
      const entries = this.#fields.map(({ name, dataTypeID }, index) => [
        name,
        fromWire(fields[index] ?? null, dataTypeID),
      ]);
      this.#rows.push(Object.fromEntries(entries) as Row);
    } catch (error) {
      this.#rowFault ??= (error as Error).message;
    }
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const words = text.split(" ");
    const last = Number(words.at(-1));
    this.#finish({
      changes: Number.isInteger(last) ? last : 0,
      isCut: false,
      command: words[0] ?? "",
    });
  }

  handlePortalSuspended(): void {
    this.#finish({ changes: this.#rows.length, isCut: true, command: "SELECT" });
  }

  handleEmptyQuery(): void {
    this.#finish({ changes: 0, isCut: false, command: "" });
  }

  handleError(error: ServerError): void {
    const isAnswer = error.severity !== undefined;
    this.#failure ??= {
      sqlState: isAnswer ? error.code : undefined,
      message: error.message,
      index: this.#results.length,
    };
    // After an ERROR the server is ready again in a moment; after anything worse the connection ends.
    if (error.severity !== "ERROR") this.#end({ ok: false, failure: this.#failure });
  }

  /** To be called when the server is ready for more, also after an error: the driver tells it of what went well alone. */
  ready(): void {
    if (this.#failure !== undefined) this.#end({ ok: false, failure: this.#failure });
    else if (this.#rowFault === undefined) this.#end({ ok: true, results: this.#results });
    // 22003 is numeric_value_out_of_range: what was read does not fit into a number here.
    else
      this.#end({ ok: false, failure: { sqlState: "22003", message: this.#rowFault, index: 0 } });
  }

  /** The driver asks for it; `ready` is told by the connection itself. */
  handleReadyForQuery(): void {}

  #finish(of: Omit<StatementResult, "rows">): void {
    this.#results.push({ ...of, rows: this.#rows });
    this.#rows = [];
    this.#fields = [];
  }

  #end(outcome: PipelineOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#done(outcome);
  }
}

/**
 * Checks what an operation hands over, where its error can still reach the operation. Throws ConnectorError `store-text` for
 * a text that PostgreSQL cannot hold, TypeError for what is no value at all.
 */
export function requireStorable(values: readonly SqlValue[]): void {
  for (const value of values as readonly unknown[]) {
    // Sent, it would break the batch of all who wait, and not its own operation alone.
    if (typeof value === "string" && value.includes("\0")) {
      throw new ConnectorError("store-text", "the store cannot hold a text with a NUL character");
    }
    const isPlain = value === null || typeof value === "string" || typeof value === "bigint";
    if (isPlain || Number.isFinite(value) || value instanceof Uint8Array) continue;
    throw new TypeError(`a value of type ${typeof value} cannot be stored`);
  }
}

function toWire(value: SqlValue): string | Buffer | null {
  if (value === null || typeof value === "string") return value;
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return String(value);
}

function fromWire(text: string | null, type: number): SqlValue {
  if (text === null) return null;
  if (type === BYTEA) return new Uint8Array(Buffer.from(text.slice(2), "hex"));
  if (type === BOOL) return text === "t" ? 1 : 0;
  if (FLOATS.has(type)) return Number(text);
  if (INTEGERS.has(type) || type === NUMERIC) return safeNumber(text, type === NUMERIC);
  return text;
}

/** As SQLite's driver does: an integer that a number cannot hold exactly is an error, not a rounded one. */
function safeNumber(text: string, mayBeFraction: boolean): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) || (mayBeFraction && !Number.isInteger(number))) return number;
  throw new RangeError(`the integer ${text} is too large to be read exactly`);
}

import { createRequire } from "node:module";
import { ENTITY_NAMES, entityOf } from "@isthmus/shared/cmpivot/entities";
import { GENERATED_COLUMNS } from "@isthmus/shared/testing/generated-queries";

/**
 * All casts around Kusto's language service, which the tests use as a second opinion on our own parser. The package is
 * C# turned into JavaScript: it defines the globals `Bridge` and `Kusto`, overloads are numbered (`$ctor3`), and its own types
 * do not describe how it is loaded.
 */
export interface KustoFault {
  /** E.g. `KS142`. */
  readonly code: string;
  readonly message: string;
  readonly start: number;
}

interface Diagnostics {
  readonly Count: number;
  getItem(index: number): { Code: string; Severity: string; Message: string; Start: number };
}

interface Language {
  readonly KustoCode: {
    ParseAndAnalyze(text: string, globals: unknown): { GetDiagnostics(): Diagnostics };
  };
  readonly GlobalState: { readonly Default: { WithDatabase(database: unknown): unknown } };
  readonly Symbols: {
    readonly TableSymbol: {
      readonly $ctor7: new (name: string, schema: string, description: null) => unknown;
    };
    readonly FunctionSymbol: {
      readonly $ctor16: new (
        name: string,
        parameters: string,
        body: string,
        description: null,
      ) => unknown;
    };
    readonly DatabaseSymbol: {
      readonly $ctor3: new (
        name: string,
        other: null,
        members: readonly unknown[],
        isOpen: boolean,
      ) => unknown;
    };
  };
}

const KUSTO_TYPES = {
  bool: "bool",
  number: "long",
  string: "string",
  datetime: "datetime",
  timespan: "timespan",
} as const;

/** What Kusto finds wrong with a text; each documented entity is a table of the columns of generated queries. */
export function loadKusto(): (text: string) => readonly KustoFault[] {
  const language = loadLanguage();
  const globals = language.GlobalState.Default.WithDatabase(database(language));
  return (text) => {
    const found = language.KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
    return Array.from({ length: found.Count }, (_, index) => found.getItem(index))
      .filter(({ Severity }) => Severity === "Error")
      .map(({ Code, Message, Start }) => ({ code: Code, message: Message, start: Start }));
  };
}

function loadLanguage(): Language {
  const require = createRequire(import.meta.url);
  require("@kusto/language-service-next/bridge.min.js");
  require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");
  return (globalThis as unknown as { readonly Kusto: { readonly Language: Language } }).Kusto
    .Language;
}

function database({ Symbols }: Language): unknown {
  const columns = GENERATED_COLUMNS.map(({ name, type }) => `${name}:${KUSTO_TYPES[type]}`);
  const schema = `(${columns.join(", ")})`;
  const members = ENTITY_NAMES.map((name) => {
    const parameters = entityOf(name)?.parameters;
    if (parameters === undefined) return new Symbols.TableSymbol.$ctor7(name, schema, null);
    const window = parameters.hasWindow ? ", window:timespan=24h" : "";
    return new Symbols.FunctionSymbol.$ctor16(name, `(text:string${window})`, "{ Device }", null);
  });
  return new Symbols.DatabaseSymbol.$ctor3("clients", null, members, false);
}

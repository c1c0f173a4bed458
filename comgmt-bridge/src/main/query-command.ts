import { parseQuery } from "@isthmus/shared/cmpivot/parser";
import { type QueryReads, readsOf } from "@isthmus/shared/cmpivot/reads";
import { codeOf, RefusalError } from "@isthmus/shared/errors";
import { type CliCommand, EXIT_FAILED } from "@isthmus/shared/kernel/command";
import { readGuardrails } from "@isthmus/shared/kernel/connector-foundation";
import { CONFIG_OPTION, loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { guardrails, localConfiguration } from "../config/bridge-configuration.ts";
import { judgeQuery } from "../core/query-allowance.ts";

/** What the guardrails say to a query; undefined where none were asked. */
type Verdict =
  | { readonly allowed: true; readonly guardrails: string }
  | {
      readonly allowed: false;
      readonly guardrails: string;
      readonly code: string;
      readonly rule: string;
      readonly reason: string;
    };

/** Nothing is sent: a person who writes a query or a guardrail sees what would become of it. */
export const queryCommand: CliCommand = {
  name: "query",
  summary: "work with CMPivot queries",
  commands: [
    {
      name: "check",
      summary:
        "say whether a text is a CMPivot query, what it reads, and whether the guardrails allow it",
      options: { config: { ...CONFIG_OPTION, isRequired: false } },
      positionals: [{ name: "query", summary: "the query, in quotation marks" }],
      run: async (call) => {
        const reads = readsOf(parseQuery(call.positionals[0] ?? ""));
        const config = call.text("config");
        const verdict = config === undefined ? undefined : verdictOn(reads, config);
        return {
          text: textOf(reads, verdict),
          value: { ...reads, ...(verdict !== undefined && { verdict }) },
          ...(verdict?.allowed === false && { exitCode: EXIT_FAILED }),
        };
      },
    },
  ],
};

function verdictOn(reads: QueryReads, config: string): Verdict {
  const { guardrailsFile } = loadLocalConfiguration({ localConfiguration }, config);
  const { rules, source } = readGuardrails(
    { service: "comgmt-bridge", guardrails },
    guardrailsFile,
  );
  try {
    judgeQuery(reads, { functions: undefined, ...rules.queries });
    return { allowed: true, guardrails: source };
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    const { rule, message } = error;
    return { allowed: false, guardrails: source, code: codeOf(error), rule, reason: message };
  }
}

function textOf(reads: QueryReads, verdict: Verdict | undefined): string {
  const entities = reads.entities.map(({ text, isDocumented, suggestion }) => {
    if (isDocumented) return text;
    const hint = suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
    return `${text} (not in the documentation${hint})`;
  });
  const functions = reads.functions.length === 0 ? [] : [`uses   ${reads.functions.join(", ")}`];
  return [
    `query  ${reads.text}`,
    ...entities.map((entity) => `reads  ${entity}`),
    ...functions,
    verdictText(verdict),
  ].join("\n");
}

function verdictText(verdict: Verdict | undefined): string {
  if (verdict === undefined)
    return "guardrails were not asked: name the configuration with --config";
  if (verdict.allowed) return `allowed by the guardrails (${verdict.guardrails})`;
  return `refused by the guardrails (${verdict.guardrails}): ${verdict.reason} [${verdict.code}, ${verdict.rule}]`;
}

import { actionRefusal } from "./action-allowance.ts";

/** A script as the guardrails list it. */
export interface ScriptRule {
  readonly scriptGuid: string;
  readonly version: string;
  readonly sha256: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly allowSelfApproval: boolean;
}

/** The very script that somebody wants to run. */
export interface WantedScript {
  readonly scriptGuid: string;
  readonly version: string;
  readonly sha256: string;
  readonly parameters: readonly { readonly name: string; readonly value: string }[];
}

/** A script as the site has it at this moment. */
export interface FoundScript {
  readonly version: string;
  /** Over the stored bytes, made here. */
  readonly sha256: string;
  readonly approvalState: number;
  readonly author: string | undefined;
  readonly approver: string | undefined;
  readonly parameters: readonly FoundParameter[];
}

export interface FoundParameter {
  readonly name: string;
  readonly type: "System.String" | "System.Int32" | "System.Boolean";
  readonly isRequired: boolean;
  readonly isHidden: boolean;
  readonly defaultValue: string;
  readonly values: readonly string[] | undefined;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly minLength: number | undefined;
  readonly maxLength: number | undefined;
  readonly pattern: string | undefined;
}

/**
 * Whether the whole of a value matches a pattern. Bounded in time by whoever gives it, since patterns of a site are not ours;
 * undefined where it took too long or where the pattern is none that we understand.
 */
export type MatchesPattern = (pattern: string, value: string) => boolean | undefined;

const APPROVED = 3;
const INT32 = { min: -2_147_483_648, max: 2_147_483_647 };

/** Throws RefusalError `script-refused`, `script-parameter-refused`. Asked before the site is, and again right before the run. */
export function judgeScript(
  wanted: WantedScript,
  rules: readonly ScriptRule[],
  matches: MatchesPattern,
): ScriptRule {
  const guid = wanted.scriptGuid.toLowerCase();
  const ofGuid = rules.filter((rule) => rule.scriptGuid === guid);
  const rule = ofGuid.find(
    ({ version, sha256 }) => version === wanted.version && sha256 === wanted.sha256,
  );
  if (rule === undefined) {
    const what =
      ofGuid.length === 0
        ? "the script is not listed"
        : "the script is listed with another version or hash";
    throw actionRefusal("script-refused", "scripts", what);
  }
  for (const { name, value } of wanted.parameters) judgeListedValue(name, value, rule, matches);
  return rule;
}

function judgeListedValue(
  name: string,
  value: string,
  { parameters }: ScriptRule,
  matches: MatchesPattern,
): void {
  const pattern = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  if (pattern !== undefined && matches(pattern, value) === true) return;
  const what =
    pattern === undefined ? "takes no value" : "has a value that its pattern does not allow";
  throw actionRefusal(
    "script-parameter-refused",
    "scripts.parameters",
    `the parameter ${name} ${what}`,
  );
}

/**
 * Whether what the site has is what was looked at and listed, and approved there by two people. Throws RefusalError
 * `script-changed`, `script-not-approved`, `script-self-approved`.
 */
export function judgeFoundScript(found: FoundScript, rule: ScriptRule): void {
  if (found.version !== rule.version || found.sha256 !== rule.sha256) {
    const message = `the site has version ${found.version} with another text than the listed one`;
    throw actionRefusal("script-changed", "scripts", message);
  }
  if (found.approvalState !== APPROVED) {
    const message = "the script is not approved at the site; have it approved in the console";
    throw actionRefusal("script-not-approved", "scripts", message);
  }
  if (rule.allowSelfApproval) return;
  const [author, approver] = [found.author, found.approver].map((name) =>
    name?.trim().toLowerCase(),
  );
  if (author && approver && author !== approver) return;
  const message =
    author === approver
      ? "the script's author approved it; have somebody else approve it"
      : "the site does not say who wrote and who approved the script";
  throw actionRefusal("script-self-approved", "scripts.allowSelfApproval", message);
}

/** Values in the order of the definition, typed and checked. Throws RefusalError `script-parameter-invalid`. */
export function scriptArguments(
  wanted: WantedScript["parameters"],
  defined: readonly FoundParameter[],
  matches: MatchesPattern,
): readonly {
  readonly name: string;
  readonly type: FoundParameter["type"];
  readonly value: string;
}[] {
  const names = wanted.map(({ name }) => name);
  if (new Set(names).size < names.length) throw invalid("a parameter is given twice");
  const foreign = names.find((name) => !defined.some((each) => each.name === name));
  if (foreign !== undefined) throw invalid(`the script has no parameter ${foreign}`);
  return defined.flatMap((parameter) => {
    const { name, type, isHidden, isRequired, defaultValue } = parameter;
    const given = wanted.find((each) => each.name === name)?.value;
    if (given !== undefined && isHidden) throw invalid(`${name} is hidden and takes no value`);
    // What nobody gave is left to the script, but for what the console would put there.
    const value = given ?? (isRequired || isHidden ? defaultValue : undefined);
    if (value === undefined) return [];
    if (isRequired && value === "") throw invalid(`${name} is required`);
    judgeValue(parameter, value, matches);
    return [{ name, type, value }];
  });
}

function judgeValue(of: FoundParameter, value: string, matches: MatchesPattern): void {
  const { name, type, values } = of;
  // A client puts values into single quotes of PowerShell; the console refuses them too.
  if (/['\u2018-\u201B\p{Cc}]/u.test(value) || !value.isWellFormed()) {
    throw invalid(`${name} holds single quotes, control characters or half a character`);
  }
  if (type === "System.Int32") judgeNumber(of, value);
  if (type === "System.Boolean" && !/^(true|false)$/i.test(value)) {
    throw invalid(`${name} has to be true or false`);
  }
  if (type === "System.String") judgeText(of, value, matches);
  if (values !== undefined && !values.includes(value)) {
    throw invalid(`${name} has to be one of the ${values.length} values that the script lists`);
  }
}

function judgeNumber({ name, minimum, maximum }: FoundParameter, value: string): void {
  const number = Number(value);
  const isWhole = /^-?\d{1,10}$/.test(value);
  const [min, max] = [minimum ?? INT32.min, maximum ?? INT32.max];
  if (isWhole && number >= Math.max(min, INT32.min) && number <= Math.min(max, INT32.max)) return;
  throw invalid(`${name} has to be a whole number from ${min} to ${max}`);
}

function judgeText(
  { name, minLength, maxLength, pattern }: FoundParameter,
  value: string,
  matches: MatchesPattern,
): void {
  if (value.length < (minLength ?? 0) || value.length > (maxLength ?? value.length)) {
    throw invalid(
      `${name} has ${value.length} characters, ${minLength ?? 0} to ${maxLength ?? "any"} are allowed`,
    );
  }
  if (pattern === undefined) return;
  const isMatch = matches(pattern, value);
  if (isMatch === true) return;
  const what =
    isMatch === undefined
      ? "has a pattern at the site that cannot be checked here"
      : "does not match the script's pattern";
  throw invalid(`${name} ${what}`);
}

function invalid(message: string) {
  return actionRefusal("script-parameter-invalid", "scripts.parameters", message);
}

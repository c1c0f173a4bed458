import { RefusalError } from "@isthmus/shared/errors";
import {
  DISTINGUISHED_NAME_VARIABLE,
  type VariableSources,
  variableNamed,
  variableValue,
} from "./variables.ts";

const VARIABLE = /\{\{([^{}]*)\}\}/g;

/**
 * Replaces each `{{variable}}`, named in any case and by any of its names (variables.ts). In a subject it is applied to
 * each attribute value after the template was parsed, so no value can add an attribute. Throws RefusalError where the
 * template names what neither the challenge nor the directory holds.
 */
export function fillTemplate(template: string, sources: VariableSources): string {
  return template.replace(VARIABLE, (_, name: string) => {
    const variable = variableNamed(name);
    const value = variable && variableValue(variable, sources);
    if (value === undefined || value === "") {
      throw new RefusalError(
        "template-variable-missing",
        "profile.template",
        `The template needs "${name.trim()}", which neither the challenge nor the directory brings`,
      );
    }
    return value;
  });
}

/** The variables of a template, by their one name; those that do not exist as they are written. */
export function variablesIn(template: string): {
  readonly known: readonly string[];
  readonly unknown: readonly string[];
} {
  const known: string[] = [];
  const unknown: string[] = [];
  for (const [, name = ""] of template.matchAll(VARIABLE)) {
    const variable = variableNamed(name);
    if (variable === undefined) unknown.push(name.trim());
    else known.push(variable);
  }
  return { known, unknown };
}

/** Whether a subject template is the name of the directory's entry and nothing else. */
export function isWholeName(template: string): boolean {
  const [, name = ""] = /^\{\{([^{}]*)\}\}$/.exec(template.trim()) ?? [];
  return variableNamed(name) === DISTINGUISHED_NAME_VARIABLE;
}

import { parseRelativeNames } from "@isthmus/shared/x509/name-text";
import type { Profile } from "./profile.ts";
import { isWholeName, variablesIn } from "./template.ts";
import {
  DISTINGUISHED_NAME_VARIABLE,
  REQUESTED_NAME_VARIABLE,
  SECURITY_IDENTIFIER_VARIABLE,
  variableNamed,
} from "./variables.ts";

/** What is wrong with a profile's templates and directory, each fault with its key. Said at configuration, not at a device. */
export function templateFaults(profile: Profile, directories: ReadonlySet<string>): string[] {
  const at = `profiles.${profile.id}`;
  return [
    ...subjectFaults(profile, `${at}.subject.template`),
    ...alternativeNameFaults(profile, `${at}.subjectAltNames`),
    ...directoryFaults(profile, directories, at),
  ];
}

function subjectFaults({ subject, challenge, pfx }: Profile, at: string): string[] {
  if (subject === "fromChallenge") {
    const isBrought = challenge.kind !== "static" || pfx !== undefined;
    return isBrought
      ? []
      : [
          `${at}: is missing; a static challenge brings no subject, e.g. "CN={{requestedCommonName}}"`,
        ];
  }
  const faults = unknownVariables(subject.template, at);
  if (!isWholeName(subject.template) && !isName(subject.template)) {
    faults.push(`${at}: not a name as in RFC 4514`);
  }
  if (variablesIn(subject.template).known.includes(SECURITY_IDENTIFIER_VARIABLE)) {
    faults.push(`${at}: a security identifier stands in an alternative name of type uri only`);
  }
  return faults;
}

function alternativeNameFaults({ subjectAltNames }: Profile, at: string): string[] {
  return subjectAltNames.flatMap(({ type, template }, index) => {
    const place = `${at}.${index}.template`;
    const faults = unknownVariables(template, place);
    const { known } = variablesIn(template);
    if (type !== "uri" && known.includes(SECURITY_IDENTIFIER_VARIABLE)) {
      faults.push(`${place}: a security identifier stands in an alternative name of type uri only`);
    }
    return faults;
  });
}

function unknownVariables(template: string, at: string): string[] {
  return variablesIn(template).unknown.map((name) => `${at}: there is no variable "${name}"`);
}

function directoryFaults(profile: Profile, directories: ReadonlySet<string>, at: string): string[] {
  const { directory, challenge } = profile;
  const faults: string[] = [];
  if (directory !== undefined && !directories.has(directory.name)) {
    faults.push(
      `${at}.directory.name: the local configuration has no directory "${directory.name}"`,
    );
  }
  if (!wantsSecurityIdentifier(profile)) return faults;
  if (directory === undefined) {
    faults.push(`${at}.directory: a security identifier needs a directory to read it from`);
  }
  if (challenge.kind === "static") {
    faults.push(
      `${at}.securityIdentifier: a static challenge proves no account, so none may be mapped to one`,
    );
  }
  return faults;
}

function wantsSecurityIdentifier({ securityIdentifier, subjectAltNames }: Profile): boolean {
  const isNamed = ({ template }: { readonly template: string }) =>
    variablesIn(template).known.includes(SECURITY_IDENTIFIER_VARIABLE);
  return securityIdentifier === "directory" || subjectAltNames.some(isNamed);
}

/** Of the names of a filter's variables: what only the request says, or only the entry itself, finds no entry. */
export function filterFaults(names: readonly string[]): string[] {
  const unproven = [
    REQUESTED_NAME_VARIABLE,
    SECURITY_IDENTIFIER_VARIABLE,
    DISTINGUISHED_NAME_VARIABLE,
  ];
  return names.flatMap((name) => {
    const variable = variableNamed(name);
    if (variable === undefined) return [`there is no variable "${name}"`];
    return unproven.includes(variable) ? [`no challenge proves the variable "${name}"`] : [];
  });
}

function isName(template: string): boolean {
  try {
    return parseRelativeNames(template).length > 0;
  } catch {
    return false;
  }
}

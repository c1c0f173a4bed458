import { type CliCall, type CliOption, UsageError } from "@isthmus/shared/kernel/command";
import type { ChallengePayload } from "../cloud/signed-challenge.ts";
import type { AltNameType } from "../core/profile.ts";

const ALT_NAME_TYPES: readonly string[] = ["uri", "dns", "email", "upn"];

/** Options that say whose certificate it is to be, beside `device`. */
export const NAME_OPTIONS = {
  upn: { type: "string", valueName: "NAME", summary: "the user principal name" },
  subject: {
    type: "string",
    valueName: "NAME",
    summary: "the subject as in RFC 4514; CN=<device> where it is not given",
  },
  san: {
    type: "string",
    valueName: "TYPE:VALUE",
    summary: "a further name: uri, dns, email or upn; may be repeated",
    isRepeatable: true,
  },
} as const satisfies Readonly<Record<string, CliOption>>;

/** The names that `NAME_OPTIONS` give. */
export function namesIn(call: CliCall) {
  const userPrincipalName = call.text("upn");
  return {
    ...(userPrincipalName !== undefined && { userPrincipalName }),
    subject: call.text("subject") ?? `CN=${call.required("device")}`,
    subjectAltNames: call.list("san").map(altName),
  };
}

function altName(text: string): ChallengePayload["subjectAltNames"][number] {
  const [type = "", ...rest] = text.split(":");
  if (!ALT_NAME_TYPES.includes(type) || rest.length === 0) {
    throw new UsageError(`--san ${text}: expected uri:, dns:, email: or upn: and a value`);
  }
  return { type: type as AltNameType, value: rest.join(":") };
}

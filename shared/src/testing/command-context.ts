import type { CommandContext } from "../kernel/service-definition.ts";

/** The context of a command that nobody had to consent to and that does not expire. */
export function commandContext(
  of: Partial<CommandContext> & { readonly id: string },
): CommandContext {
  return {
    actor: "test",
    expiresAt: Number.MAX_SAFE_INTEGER,
    consent: { isLocal: false, signatures: 0 },
    signal: new AbortController().signal,
    ...of,
  };
}

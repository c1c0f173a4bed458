import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { VpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import type { Authenticator } from "../core/authenticator.ts";
import { makeAuthenticators } from "../directory/authenticators.ts";

/** Own limit: a health check has 10 s. */
const TIMEOUT_MS = 8_000;
/** Own choice: how often a running gateway asks a server only to see whether it is there. */
const CHECK_AGAIN_MS = 60_000;

const REMEDIES: Readonly<Record<string, string>> = {
  "configuration-invalid": "mend the file; nobody logs in by it until then",
  "secret-unreadable": "let the gateway's user read the file",
  "ldap-in-the-clear": "use ldaps:// or set startTls",
  "radius-unreachable":
    "see whether the server runs, knows this gateway as a client and has the same secret",
  "oidc-metadata": "set issuer to what the provider publishes as its issuer",
  "oidc-unreachable": "see whether this host reaches the provider, and whether caFile is its CA",
};
const OTHER_REMEDY =
  "see whether this host reaches the server, and whether account, password and CA are right";

/**
 * Whether the authenticators of a running gateway can be asked. One that cannot is a warning: sessions go on, and another
 * gateway would fare no better.
 */
export function authenticatorChecks(
  authenticators: ReadonlyMap<string, Authenticator>,
  now: () => number,
): HealthCheck[] {
  return [...authenticators.values()].map((one) => {
    let last: { readonly result: CheckResult; readonly at: number } | undefined;
    return {
      name: nameOf(one),
      async run() {
        const isFresh = last && Math.abs(now() - last.at) < CHECK_AGAIN_MS;
        if (!last || !isFresh) last = { result: await resultOf(one, "warning"), at: now() };
        return last.result;
      },
    };
  });
}

/** The same for `check`, where what cannot be asked is a failure. */
export function offlineAuthenticatorChecks({
  authenticators,
}: VpnLocalConfiguration): HealthCheck[] {
  const steps = { take: async () => false };
  const made = makeAuthenticators(authenticators, { clock: systemClock, steps });
  return [...made.values()].map((one) => ({
    name: nameOf(one),
    run: () => resultOf(one, "unhealthy"),
  }));
}

function nameOf({ name }: Authenticator): string {
  return `authenticator-${name}`;
}

async function resultOf(
  authenticator: Authenticator,
  status: "warning" | "unhealthy",
): Promise<CheckResult> {
  try {
    const late = Promise.withResolvers<never>();
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    signal.addEventListener("abort", () => late.reject(new Error("no answer in time")));
    await Promise.race([authenticator.check(signal), late.promise]);
    return { status: "healthy", reason: "users can be asked for" };
  } catch (error) {
    const remedy = (error instanceof ConnectorError && REMEDIES[error.code]) || OTHER_REMEDY;
    const reason = error instanceof Error ? error.message : String(error);
    return { status, reason: `nobody can log in by it: ${reason}`, remedy };
  }
}

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { freePort } from "@isthmus/shared/testing/free-port";
import type {
  AuthenticationStep,
  Authenticator,
  LoginContext,
} from "@isthmus/tunnel-gateway/core/authenticator";
import { oidcAuthenticator } from "@isthmus/tunnel-gateway/directory/oidc-authenticator";
import type { OidcOptions } from "@isthmus/tunnel-gateway/directory/oidc-provider";
import {
  type OidcSimulator,
  type OidcSimulatorOptions,
  startOidcSimulator,
} from "../simulators/oidc/oidc-simulator.ts";

export const PUBLIC_URL = "https://vpn.example";
export const CLIENT = { clientId: "vpn client", clientSecret: "a secret: of the tests" };
export const ALICE = { preferred_username: "alice@example.com", groups: ["staff"] };
export const MINUTE_MS = 60_000;

export const signal = () => AbortSignal.timeout(20_000);
export const context: LoginContext = {
  remoteAddress: "192.0.2.1",
  group: "staff",
  userName: undefined,
  bearerToken: undefined,
  publicUrl: PUBLIC_URL,
  deviceId: undefined,
};

/** An OpenID Connect authenticator and a strict provider for it. */
export interface OidcUnderTest extends AsyncDisposable {
  readonly provider: OidcSimulator;
  readonly authenticator: Authenticator;
  readonly clock: FakeClock;
  readonly bring: (bearerToken: string) => Promise<AuthenticationStep>;
}

export async function startOidc(
  simulator: Partial<OidcSimulatorOptions> = {},
  more: Partial<OidcOptions> = {},
): Promise<OidcUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-oidc-"));
  const clientSecretFile = join(folder, "client-secret");
  writeFileSync(clientSecretFile, CLIENT.clientSecret, { mode: 0o600 });
  const place = { address: "127.0.0.1", port: await freePort() };
  const provider = await startOidcSimulator({ ...place, ...CLIENT, user: ALICE, ...simulator });
  const options: OidcOptions = {
    issuer: provider.issuer,
    clientId: CLIENT.clientId,
    clientSecretFile,
    scopes: ["openid", "profile"],
    userNameClaim: "preferred_username",
    groupsClaim: "groups",
    timeoutSeconds: 5,
    ...more,
  };
  const clock = new FakeClock(Date.now());
  const authenticator = oidcAuthenticator("entra", options, clock);
  return {
    provider,
    authenticator,
    clock,
    bring: (bearerToken) => authenticator.begin({ ...context, bearerToken }, signal()),
    [Symbol.asyncDispose]: async () => {
      await provider[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** How a step ended, in short. */
export const codeOf = (step: AuthenticationStep) =>
  step.kind === "refused" ? `${step.refusal.code}${step.isAttempt ? ", counted" : ""}` : step.kind;

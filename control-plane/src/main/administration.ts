import { createHash } from "node:crypto";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { verifyAudit } from "@isthmus/shared/kernel/audit-verification";
import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import { type PublicKey, service } from "@isthmus/shared/link/messages";
import type { Random } from "@isthmus/shared/random";
import { z } from "zod";
import type { Act } from "../core/admin-records.ts";
import { checkPasswordLength, type Passwords } from "../core/password.ts";
import { ROLES } from "../core/roles.ts";
import type { ControlPlaneStore, StoreRecords } from "../store/records.ts";
import { randomPassword } from "./first-administrator.ts";
import { OWN_CHAIN } from "./housekeeping.ts";

/** The actor of what is done at the host itself, where whoever may read the state folder may do everything. */
const LOCAL_ACTOR = "local command line";
const TOKEN_SECRET_BYTES = 32;
const MAX_LISTED = 1_000;

const newToken = z.strictObject({
  service,
  displayName: z.string().min(1).max(200).optional(),
  validityMinutes: z.number().int().min(1).max(43_200).default(60),
});
const newAccount = z.strictObject({
  userName: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/),
  roles: z.array(z.enum(ROLES)).min(1),
  password: z.string().optional(),
});
const newPassword = z.strictObject({
  userName: z.string().min(1).max(128),
  password: z.string().optional(),
});

export interface Administration {
  readonly records: StoreRecords;
  readonly store: ControlPlaneStore;
  readonly passwords: Passwords;
  readonly clock: Clock;
  readonly random: Random;
  tenantKeys(): readonly PublicKey[];
  tokenText(secret: string): Promise<string>;
  status(): Promise<unknown>;
  rotateTenantKey(act: Act): Promise<{ readonly thumbprint: string }>;
}

/** What the command line asks of the control plane, over the control socket or, while it does not run, in its own process. */
export function administrationHandlers(of: Administration): ControlHandlers {
  return {
    status: () => of.status(),
    "token.create": (argument) => createToken(of, newToken.parse(argument)),
    "admin.create": (argument) => createAccount(of, newAccount.parse(argument)),
    "admin.reset-password": (argument) => resetPassword(of, newPassword.parse(argument)),
    "admin.list": () => listAccounts(of),
    "tenant-key.rotate": () => of.rotateTenantKey({ actor: LOCAL_ACTOR, now: of.clock.now() }),
    "audit.verify": () => verifyAudit(of.store, of.tenantKeys(), OWN_CHAIN),
  };
}

async function createToken(of: Administration, wanted: z.infer<typeof newToken>) {
  const secret = of.random.bytes(TOKEN_SECRET_BYTES).toString("base64url");
  const token = await of.tokenText(secret);
  const now = of.clock.now();
  const expiresAt = now + wanted.validityMinutes * 60_000;
  await of.records.run("createEnrolmentToken", {
    secretHash: createHash("sha256").update(secret).digest("hex"),
    service: wanted.service,
    displayName: wanted.displayName,
    expiresAt,
    actor: LOCAL_ACTOR,
    now,
  });
  return { token, service: wanted.service, expirationDateTime: new Date(expiresAt).toISOString() };
}

async function createAccount(of: Administration, wanted: z.infer<typeof newAccount>) {
  const { password, passwordHash } = await passwordFor(of, wanted.password);
  await of.records.run("createAdministrator", {
    id: of.random.bytes(16).toString("hex"),
    userName: wanted.userName,
    roles: wanted.roles,
    passwordHash,
    actor: LOCAL_ACTOR,
    now: of.clock.now(),
  });
  return { userName: wanted.userName, roles: wanted.roles, ...password };
}

async function resetPassword(of: Administration, wanted: z.infer<typeof newPassword>) {
  const login = await of.records.run("loginOf", { userName: wanted.userName });
  if (login === undefined) {
    throw new ConnectorError(
      "administrator-unknown",
      `There is no administrator ${wanted.userName}`,
    );
  }
  const { password, passwordHash } = await passwordFor(of, wanted.password);
  await of.records.run("changeAdministrator", {
    id: login.id,
    passwordHash,
    actor: LOCAL_ACTOR,
    now: of.clock.now(),
  });
  return { userName: wanted.userName, ...password };
}

/** A password that was made here is told, one that was given is not repeated. */
async function passwordFor(of: Administration, given: string | undefined) {
  const password = given ?? randomPassword(of.random);
  checkPasswordLength(password);
  const passwordHash = await of.passwords.hash(password);
  return { passwordHash, password: given === undefined ? { password } : {} };
}

async function listAccounts(of: Administration) {
  const rows = await of.records.page(
    {
      resource: "administrators",
      order: [{ property: "userName", isDescending: false }],
      top: MAX_LISTED,
    },
    ["userName", "roles", "disabledDateTime"],
  );
  return rows.map((row) => ({
    userName: row["userName"],
    roles: JSON.parse(String(row["roles"])),
    isDisabled: row["disabledDateTime"] !== null,
  }));
}

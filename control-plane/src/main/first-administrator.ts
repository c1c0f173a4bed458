import { join } from "node:path";
import type { Clock } from "@isthmus/shared/clock";
import { writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import type { Random } from "@isthmus/shared/random";
import type { Logger } from "pino";
import type { Passwords } from "../core/password.ts";
import type { Records } from "../core/ports.ts";

const PASSWORD_BYTES = 18;
const FIRST_USER_NAME = "admin";

/** A password that nobody chose. */
export function randomPassword(random: Random): string {
  return random.bytes(PASSWORD_BYTES).toString("base64url");
}

/** Makes the account `admin` where there is none at all, its password in `initial-admin-password` (mode 0600). */
export async function ensureFirstAdministrator(of: {
  readonly records: Records;
  readonly passwords: Passwords;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
  readonly folder: string;
}): Promise<void> {
  const { records, passwords, random, clock, log } = of;
  if ((await records.run("countAdministrators", {})) > 0) return;
  const password = randomPassword(random);
  const passwordFile = join(of.folder, "initial-admin-password");
  // Before the account, so that a crash in between leaves a file without account and not an account without password.
  writeFileAtomically(passwordFile, `${password}\n`);
  await records.run("createAdministrator", {
    id: random.bytes(16).toString("hex"),
    userName: FIRST_USER_NAME,
    passwordHash: await passwords.hash(password),
    roles: ["Global administrator"],
    actor: "control-plane",
    now: clock.now(),
  });
  log.info({ userName: FIRST_USER_NAME, passwordFile }, "administrator.first-created");
}

import { createHash } from "node:crypto";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import type { Session, StoredLogin } from "./admin-records.ts";
import { LoginScores } from "./login-scores.ts";
import { MAX_PASSWORD_CHARACTERS, type Passwords } from "./password.ts";
import type { Records } from "./ports.ts";

/** Our own limits. */
export const SESSION_MS = 8 * 3_600_000;
const TOKEN_BYTES = 32;
const MAX_USER_NAME_CHARACTERS = 128;

/** Too many failed logins; `waitMs` until another is looked at. */
export class LoginThrottled extends ConnectorError {
  readonly waitMs: number;

  constructor(waitMs: number) {
    super("login-throttled", "Too many failed logins: wait before the next", { isRetryable: true });
    this.waitMs = waitMs;
  }
}

export interface SignedIn {
  /** The bearer token; only its hash is kept. */
  readonly token: string;
  readonly session: Session;
}

/** Opens sessions for administrators, and finds them again by their bearer token. */
export class SignIn {
  readonly #records: Records;
  readonly #passwords: Passwords;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #scores: LoginScores;

  constructor(of: {
    readonly records: Records;
    readonly passwords: Passwords;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#records = of.records;
    this.#passwords = of.passwords;
    this.#clock = of.clock;
    this.#random = of.random;
    this.#scores = new LoginScores(of.clock);
  }

  /**
   * Checks name and password and opens a session. Unknown name, wrong password and disabled account are one refusal,
   * `login-refused`, after the same work. Throws `LoginThrottled` before any work.
   */
  async open(userName: string, password: string, address: string): Promise<SignedIn> {
    const account = accountKey(userName);
    const waitMs = this.#scores.waitMs(address, account);
    if (waitMs > 0) throw new LoginThrottled(waitMs);
    this.#scores.count(address, account);
    const login = await this.#records.run("loginOf", { userName });
    if (!(await this.#isCorrect(login, password))) {
      const reason = login === undefined ? "unknown" : login.isDisabled ? "disabled" : "password";
      const now = this.#clock.now();
      await this.#records.run("refuseSession", { userName, address, reason, now });
      throw loginRefused();
    }
    this.#scores.forgive(address, account);
    return await this.#openFor(login as StoredLogin, address);
  }

  /** The session of a bearer token, or undefined. */
  find(token: string): Promise<Session | undefined> {
    return this.#records.session(hashOf(token));
  }

  /** Whether a session that was found before goes on, and may what it might. */
  async goesOn(token: string, { roles }: Session): Promise<boolean> {
    const now = await this.find(token);
    return now !== undefined && roles.every((role) => now.roles.includes(role));
  }

  async close(token: string, session: Session): Promise<void> {
    await this.#records.run("closeSession", {
      tokenHash: hashOf(token),
      actor: session.userName,
      now: this.#clock.now(),
    });
  }

  async #isCorrect(login: StoredLogin | undefined, password: string): Promise<boolean> {
    // Too long for any stored password; shortened so that the work is the same for all.
    const isTooLong = password.length > MAX_PASSWORD_CHARACTERS;
    const tried = password.slice(0, MAX_PASSWORD_CHARACTERS);
    const isCorrect = await this.#passwords.isCorrect(tried, login?.passwordHash);
    return isCorrect && !isTooLong && login?.isDisabled === false;
  }

  async #openFor(login: StoredLogin, address: string): Promise<SignedIn> {
    const token = this.#random.bytes(TOKEN_BYTES).toString("base64url");
    const now = this.#clock.now();
    const session = await this.#records.run("openSession", {
      administratorId: login.id,
      tokenHash: hashOf(token),
      now,
      expiresAt: now + SESSION_MS,
      address,
    });
    return { token, session };
  }
}

function loginRefused(): RefusalError {
  return new RefusalError("login-refused", "sign in", "User name or password is wrong");
}

/** Names are kept short so that scores cannot be used to fill the memory. */
function accountKey(userName: string): string {
  return userName.toLowerCase().slice(0, MAX_USER_NAME_CHARACTERS);
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

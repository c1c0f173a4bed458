/** Own limit; no authenticator takes a longer name. */
const MAX_SCORED_CHARACTERS = 256;

/**
 * When two names are one user. Names are compared without regard to case. A name without a domain is the same as one with a
 * domain only where the local configuration lists that domain (`vpn.userNameDomains`): a directory that names users `alice`
 * and a certificate for `alice@example.com` then agree, while `alice@other.example` stays somebody else.
 */
export class UserNames {
  readonly #domains: ReadonlySet<string>;

  constructor(domains: readonly string[]) {
    this.#domains = new Set(domains.map((domain) => domain.toLowerCase()));
  }

  /** What is equal for all names of one user, for counting sessions and points. */
  keyOf(userName: string): string {
    const name = userName.trim().toLowerCase();
    const at = name.lastIndexOf("@");
    return at > 0 && this.#domains.has(name.slice(at + 1)) ? name.slice(0, at) : name;
  }

  /**
   * What guesses at an account are counted by: directories compare names prepared (RFC 4518), and Active Directory without accents,
   * so that a wide letter, an accent or a character that nobody sees would otherwise be another account with guesses of its own.
   */
  scoredName(userName: string): string {
    const seen = userName.normalize("NFKD").replace(/[\p{Cf}\p{Mn}\p{Cc}\p{Z}]+/gu, "");
    return this.keyOf(seen).slice(0, MAX_SCORED_CHARACTERS);
  }

  isSame(one: string, other: string): boolean {
    return this.keyOf(one) === this.keyOf(other);
  }
}

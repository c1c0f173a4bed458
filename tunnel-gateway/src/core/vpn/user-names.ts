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

  isSame(one: string, other: string): boolean {
    return this.keyOf(one) === this.keyOf(other);
  }
}

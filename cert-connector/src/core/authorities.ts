import { ConnectorError } from "@isthmus/shared/errors";
import type { CertificateAuthority } from "./ports.ts";

/** The certification authorities of this connector, by name and by label. */
export class Authorities {
  readonly #byName: ReadonlyMap<string, CertificateAuthority>;

  constructor(authorities: readonly CertificateAuthority[]) {
    this.#byName = new Map(authorities.map((authority) => [authority.name, authority]));
  }

  get all(): readonly CertificateAuthority[] {
    return [...this.#byName.values()];
  }

  /** What profiles may write: names and labels. */
  get names(): ReadonlySet<string> {
    return new Set(this.all.flatMap(({ name, labels }) => [name, ...labels]));
  }

  /** Throws ConnectorError `authority-unknown`. */
  named(name: string): CertificateAuthority {
    const authority = this.#byName.get(name);
    if (authority !== undefined) return authority;
    throw unknown(name);
  }

  /** One that is not configured any more counts as ours: what waits for it is then on record at each start. */
  kindOf(name: string): CertificateAuthority["kind"] {
    return this.#byName.get(name)?.kind ?? "embedded";
  }

  /** Every authority with this name or label, in the order of the configuration. */
  candidates(nameOrLabel: string): readonly CertificateAuthority[] {
    return this.all.filter(
      ({ name, labels }) => name === nameOrLabel || labels.includes(nameOrLabel),
    );
  }

  /**
   * The first candidate that would sign now. Throws ConnectorError `authority-unknown`, or `ca-unavailable` (retryable)
   * with what keeps each of them.
   */
  choose(nameOrLabel: string): CertificateAuthority {
    const candidates = this.candidates(nameOrLabel);
    if (candidates.length === 0) throw unknown(nameOrLabel);
    const reachable = candidates.find((authority) => authority.obstacle() === undefined);
    if (reachable !== undefined) return reachable;
    const obstacles = candidates.map((authority) => `${authority.name}: ${authority.obstacle()}`);
    throw new ConnectorError("ca-unavailable", `no CA can sign now: ${obstacles.join("; ")}`, {
      isRetryable: true,
    });
  }
}

function unknown(name: string): ConnectorError {
  return new ConnectorError("authority-unknown", `there is no certification authority "${name}"`);
}

import { ConfigurationError } from "@isthmus/shared/errors";
import type { IssuanceGuard } from "./ports.ts";
import { type Profile, type PublicUrls, scepPathOf } from "./profile.ts";
import { templateFaults } from "./profile-faults.ts";

/** The parts of a desired configuration that core works by. */
export interface IssuanceConfiguration {
  readonly profiles: readonly Profile[];
  readonly crl: { readonly periodHours: number; readonly overlapHours: number };
  readonly publicUrls: PublicUrls;
}

/** What a profile may refer to on this machine. */
export interface LocalNames {
  /** Names and labels. */
  readonly authorities: ReadonlySet<string>;
  /** Names of the authorities whose own key can open SCEP messages. */
  readonly ownRegistration: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
  readonly tenants: ReadonlySet<string>;
  readonly webhooks: ReadonlySet<string>;
  readonly directories: ReadonlySet<string>;
}

/** The configuration in force: replaced whole, so that a request sees one or the other and never half of each. */
export class ConfigurationInForce {
  readonly #guard: IssuanceGuard;
  readonly #names: LocalNames;
  #configuration: IssuanceConfiguration = {
    profiles: [],
    crl: { periodHours: 24, overlapHours: 24 },
    publicUrls: {},
  };
  #byId = new Map<string, Profile>();
  #byPath = new Map<string, Profile>();
  #ndes: Profile | undefined;
  #isKnown = false;

  constructor(guard: IssuanceGuard, names: LocalNames) {
    this.#guard = guard;
    this.#names = names;
  }

  /** Throws RefusalError of the guardrails, or ConfigurationError with all that does not fit this machine. */
  replace(configuration: IssuanceConfiguration): void {
    const { profiles } = configuration;
    for (const profile of profiles) this.#guard.judgeProfile(profile);
    const faults = profiles.flatMap((profile) => this.#faultsOf(profile));
    if (faults.length > 0) throw new ConfigurationError("desired configuration", faults);
    this.#isKnown = true;
    this.#configuration = configuration;
    this.#byId = new Map(profiles.map((profile) => [profile.id, profile]));
    this.#byPath = new Map(profiles.map((profile) => [scepPathOf(profile), profile]));
    this.#ndes = profiles.find(({ ndesPath }) => ndesPath);
  }

  /** False from the start until the first configuration: what there is to be served is not known yet. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  get profiles(): readonly Profile[] {
    return this.#configuration.profiles;
  }

  get crl(): IssuanceConfiguration["crl"] {
    return this.#configuration.crl;
  }

  get publicUrls(): PublicUrls {
    return this.#configuration.publicUrls;
  }

  profile(id: string): Profile | undefined {
    return this.#byId.get(id);
  }

  /** By the last segment of its SCEP address, or the one under NDES's own path. */
  profileAt(path: { readonly segment: string } | "ndes"): Profile | undefined {
    return path === "ndes" ? this.#ndes : this.#byPath.get(path.segment);
  }

  #faultsOf(profile: Profile): string[] {
    const { id, ca, caCertificates } = profile;
    const faults: string[] = [];
    if (!this.#names.authorities.has(ca)) faults.push(`profiles.${id}.ca: there is no CA "${ca}"`);
    else if (caCertificates === "single" && !this.#names.ownRegistration.has(ca)) {
      faults.push(
        `profiles.${id}.caCertificates: "single" needs an issuing CA with an RSA key here that may decrypt (ca init --own-ra)`,
      );
    }
    const missing = this.#missingForChallenge(profile);
    if (missing !== undefined) {
      faults.push(`profiles.${id}.challenge: the local configuration has no ${missing}`);
    }
    return [...faults, ...templateFaults(profile, this.#names.directories)];
  }

  #missingForChallenge({ challenge }: Profile): string | undefined {
    const { secrets, tenants, webhooks } = this.#names;
    const absent = (names: ReadonlySet<string>, what: string, name: string) =>
      names.has(name) ? undefined : `${what} "${name}"`;
    switch (challenge.kind) {
      case "signed":
        return undefined;
      case "static":
        return absent(secrets, "secret", challenge.secretName);
      case "intune":
        return absent(tenants, "tenant", challenge.tenant);
      case "webhook":
        return absent(webhooks, "webhook", challenge.name);
    }
  }
}

import type { SiteCredential } from "./site-credential.ts";

/** One SMS provider's AdminService, as the local configuration names it. */
export interface SiteSettings {
  /** `https://FQDN[:port]`: the only host that credentials go to. */
  readonly url: string;
  readonly siteCode: string;
  readonly credential: SiteCredential;
  /** PEM. Where given, nothing else is trusted. */
  readonly ca?: string | undefined;
  /** `sha256/` and base64 of the SHA-256 of a SubjectPublicKeyInfo that has to be in the provider's chain. */
  readonly pin?: string | undefined;
  readonly limits: SiteLimits;
}

export interface SiteLimits {
  readonly maxInFlight: number;
  readonly requestsPerSecond: number;
  readonly connectTimeoutMs: number;
  /** From the connection to the head of the answer. */
  readonly firstByteTimeoutMs: number;
  /** The whole of one attempt. */
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly pageRows: number;
  /** Further attempts of what may be repeated. */
  readonly retries: number;
  /** Failures in a row after which the site is left alone. */
  readonly breakerFailures: number;
  readonly breakerOpenMs: number;
}

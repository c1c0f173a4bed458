/** A one-time password that somebody has given: the step of RFC 6238 that it was right for. */
export interface OneTimeStep {
  readonly authenticator: string;
  readonly userName: string;
  readonly step: number;
}

/** Which one-time passwords were used, also before a restart. */
export interface OneTimeSteps {
  /** Takes a step if it is later than every one this user has used; false for one that is not, and nothing changes. */
  take(of: OneTimeStep): Promise<boolean>;
}

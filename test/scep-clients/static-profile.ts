/** The password of these profiles, as the connector under test has it. */
export const STATIC_PASSWORD = "one password for all";

/** A profile whose challenge is one password, so that a recorded request is let in at any time. */
export function staticProfile(id: string, further: Readonly<Record<string, unknown>> = {}) {
  return {
    id,
    challenge: { kind: "static", secretName: "closed", deviceId: "requestedCommonName" },
    subject: { template: "CN={{deviceId}}" },
    validityDays: 30,
    renewalWindowPercent: 100,
    ...further,
  };
}

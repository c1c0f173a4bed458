import type { Explanations } from "./explanations.ts";

const NEW_CHALLENGE =
  "make a new challenge for this device and profile, and let it enrol with that";

/** What was asked for, and whether it is allowed: challenge, renewal, profile, guardrails. */
export const REQUEST_EXPLANATIONS: Explanations = {
  "challenge-": ["the challenge does not allow this certificate", NEW_CHALLENGE],
  "challenge-missing": [
    "the request carries no challenge",
    "put the challenge into the device's SCEP profile; a renewal has to be signed with the old certificate",
  ],
  "challenge-invalid": [
    "the challenge is not one that this connector trusts, or is for another connector",
    "make it at the control plane (or, standalone, with `challenge`) of this very connector; a static one has to be what the file under secrets holds",
  ],
  "challenge-expired": ["the challenge is older than it may be", NEW_CHALLENGE],
  "challenge-profile": [
    "the challenge was made for another profile than the address asks for",
    "make it for this profile, or correct the address in the device's profile",
  ],
  "challenge-used": [
    "another request has used this one-time challenge",
    "make a new one; if nobody did, somebody has read it on its way",
  ],
  "challenge-secret-missing": [
    "the profile names a static secret that the local configuration does not have",
    "add it to secrets of the local configuration, or change the profile",
  ],
  "challenge-kind": [
    "the profile's kind of challenge is not the one that was asked",
    "correct challenge in the profile",
  ],
  "challenge-unavailable": [
    "the profile's kind of challenge is not set up on this connector",
    "set up the tenant or webhook in the local configuration, or change the profile",
  ],
  "challenge-refused": [
    "the webhook refused the request",
    "see the webhook's own log for this transaction",
  ],
  "renewal-unknown": [
    "the request is signed with a certificate that this connector did not issue",
    "enrol with a challenge; was the ledger restored from an older backup, or is this another connector?",
  ],
  "renewal-revoked": [
    "the certificate to renew was revoked",
    "enrol with a new challenge, if the device shall have one again",
  ],
  "renewal-profile": [
    "the certificate to renew is of another profile than the address",
    "correct the address in the device's profile, or enrol with a new challenge",
  ],
  "renewal-expired": [
    "the certificate to renew has expired",
    "enrol with a new challenge, or allow late renewals in the profile",
  ],
  "renewal-too-early": [
    "more of the validity is left than the profile's renewal window",
    "wait, or raise renewalWindowPercent in the profile",
  ],
  "renewal-same-key": [
    "the renewal is for the key of the old certificate, and the profile wants a new one",
    "have the client make a new key for each renewal, or allow the old one in the profile",
  ],
  "rescue-": [
    "an expired certificate is accepted for a new one only within bounds, which this request is outside",
    "enrol with a new challenge",
  ],
  "renewal-limit": [
    "the certificate has as many successors already as are allowed",
    "enrol with a new challenge; a client that loses every answer is worth a look",
  ],
  "request-": ["the request does not fit what was stored of it", "let the device ask anew"],
  "request-rejected": [
    "a person rejected the request",
    "ask who decided; a new key or transaction makes a new request",
  ],
  "request-unknown": [
    "no such request waits",
    "see `request list`; it may have been decided already",
  ],
  "request-names": [
    "the names in the request are not those that the validated challenge allows",
    "compare subject and alternative names of the SCEP profile with the profile of this connector",
  ],
  "request-id-used": ["another order had the same request id", "give each order an id of its own"],
  "request-expired": [
    "nobody decided on the request within 30 days",
    "decide sooner; the device has to enrol anew, with a new challenge",
  ],
  "pending-full": [
    "more requests wait for a person than are kept",
    "decide on some with `request approve` and `request reject`",
  ],
  "pkcs-pending": [
    "the certificate of this order is not there yet",
    "send the same order again later",
  ],
  "profile-unknown": [
    "there is no such profile in the configuration in force",
    "compare its id; was the profile renamed or removed?",
  ],
  "profile-rate-exceeded": [
    "the profile has issued as many certificates in this hour as it may",
    "wait, or raise maxPerHour; a loop in a client shows in the counters",
  ],
  "profile-not-pkcs": [
    "the profile is not for keys that the connector makes",
    "name a profile that allows it",
  ],
  guardrail: [
    "the local guardrails do not allow this certificate",
    "change the profile, or let the owner of the guardrails file allow it",
  ],
  "limit-exceeded": [
    "the guardrails' limit for a time window is used up",
    "wait, or let the owner of the guardrails file raise it",
  ],
  lint: [
    "the planned certificate would break a rule, which the message names",
    "correct the profile, the challenge's names or the device's key accordingly",
  ],
  "key-below-floor": [
    "the device's key is weaker than the profile asks for, or of another kind",
    "have the device make a stronger key, or lower keyFloor in the profile",
  ],
  "account-missing": [
    "the profile needs an account, and the challenge proves none that the directory knows",
    "make the challenge for a user or device that is in the directory",
  ],
  "subject-missing": [
    "the profile takes the subject from the challenge, which has none",
    "give the challenge a subject, or the profile a template",
  ],
  "template-variable-missing": [
    "the profile's template uses a variable that this device or user has no value for",
    "fill in the value where it is managed (directory, device record), or change the template",
  ],
  "device-id-invalid": [
    "the device id holds characters that no certificate can carry safely",
    "use letters, digits and . _ ~ : -",
  ],
  "device-id-mismatch": [
    "a name in the certificate would stand for another device than the challenge",
    "correct the names of the profile or of the challenge",
  ],
  "sid-missing": [
    "the profile wants a security identifier, and the directory has none for this account",
    "see that the account is synchronised, and that the directory's search finds it",
  ],
  "sid-unproven": [
    "a security identifier came with the request and not from the directory",
    "remove it from the request; the profile's securityIdentifier takes it from the directory",
  ],
  "sid-mismatch": [
    "the security identifier is not that of the account in the directory",
    "see whether the account was made anew, and let the device synchronise",
  ],
  "certificate-revoked": [
    "the certificate of this very request was revoked",
    "a new request needs a new key or transaction",
  ],
  "certificate-unknown": [
    "no such certificate or transaction is in the ledger",
    "compare serial number, issuer and transaction; the request may have gone to another connector",
  ],
  "recipient-": [
    "a private key cannot be encrypted to this recipient",
    "name a valid RSA certificate of the device for key encipherment, or one that the guardrails list",
  ],
};

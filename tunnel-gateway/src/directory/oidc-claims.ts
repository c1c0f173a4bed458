import type { JWTPayload } from "jose";
import type { AuthenticatedUser, AuthenticationStep } from "../core/authenticator.ts";
import { isUserName, refused } from "./credentials-form.ts";

/** Own limit on the groups of one user. */
const MAX_GROUPS = 1_000;

export interface ClaimNames {
  readonly userNameClaim: string;
  readonly groupsClaim: string;
}

type Refused = Extract<AuthenticationStep, { readonly kind: "refused" }>;
type UserOrRefusal =
  | { readonly user: AuthenticatedUser; readonly refusal?: undefined }
  | { readonly user?: undefined; readonly refusal: Refused };

/** Whom the claims of a verified token name. */
export function userOfClaims(
  authenticator: string,
  claims: JWTPayload,
  { userNameClaim, groupsClaim }: ClaimNames,
): UserOrRefusal {
  const refuse = (code: Parameters<typeof refused>[0], message: string) => ({
    refusal: refused(code, authenticator, message, false),
  });
  const userName = claims[userNameClaim];
  if (typeof userName !== "string" || !isUserName(userName)) {
    return refuse("token-invalid", `the token has no claim ${userNameClaim}`);
  }
  if (!isVouchedFor(userName, userNameClaim, claims)) {
    return refuse("token-invalid", `the provider has not verified the claim ${userNameClaim}`);
  }
  const groups = [claims[groupsClaim] ?? []].flat();
  // Entra leaves the claim out beyond 200 groups and says where to ask; half of the groups would be worse than none.
  if (groups.length > MAX_GROUPS || isElsewhere(claims, groupsClaim)) {
    const message = "the token cannot name all groups of the user; send assigned groups or roles";
    return refuse("group-not-member", message);
  }
  return { user: { userName, groups: groups.filter((group) => typeof group === "string") } };
}

/**
 * An address that its owner has not shown to be theirs names nobody: whoever may choose it could choose another's (OpenID Connect
 * Core 1.0 section 5.7).
 */
function isVouchedFor(userName: string, claim: string, claims: JWTPayload): boolean {
  const { email, email_verified: isVerified } = claims;
  if (claim === "email") return isVerified === true || isVerified === "true";
  return userName !== email || (isVerified !== false && isVerified !== "false");
}

/** Claims that are somewhere else (OpenID Connect Core 1.0 section 5.6.2). */
function isElsewhere(claims: JWTPayload, name: string): boolean {
  const elsewhere = claims["_claim_names"];
  return typeof elsewhere === "object" && elsewhere !== null && Object.hasOwn(elsewhere, name);
}

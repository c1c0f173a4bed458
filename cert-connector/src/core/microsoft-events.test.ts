import { expect, test } from "vitest";
import { microsoftEventId, withMicrosoftEventId } from "./microsoft-events.ts";

test.each([
  ["enrolment.issued", { frontDoor: "scep" }, 4_006],
  ["enrolment.issued", { frontDoor: "pkcs" }, 1_050],
  ["enrolment.failed", { error: { code: "challenge-expired" } }, 4_005],
  ["enrolment.failed", { error: { code: "lint" } }, 4_007],
  ["enrolment.failed", { error: { code: "notifications-full" } }, 4_010],
  ["scep.refused", { code: "intune-challenge-expired" }, 4_005],
  ["scep.refused", { code: "ca-unavailable" }, 4_007],
  ["scep.failed", {}, 4_007],
  ["scep.answered", { status: "SUCCESS" }, 4_006],
  ["scep.answered", { status: "PENDING" }, undefined],
  ["notification.refused", {}, 4_002],
  ["certificate.revoked", {}, 3_050],
  ["toString", {}, undefined],
])("%s with %o is %s", (event, about, id) => {
  expect(microsoftEventId(event, about)).toBe(id);
});

test("an event without counterpart stays as it is", () => {
  const about = { number: 1 };
  expect(withMicrosoftEventId("revocation-list.published", about)).toBe(about);
});

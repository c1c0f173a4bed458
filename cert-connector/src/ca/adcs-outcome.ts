import { ConnectorError } from "@isthmus/shared/errors";
import type { IssuanceAnswer } from "../core/ports.ts";
import { credentialsRefused, refused, shortened, unavailable } from "./remote-answer.ts";

/** HRESULTs that pass by themselves: the CA is stopped, busy or out of reach of its own web server ([MS-ERREF]). */
const PASSING: ReadonlySet<number> = new Set([
  0x800706ba, 0x800706bb, 0x800706be, 0x800706bf, 0x80094003, 0x8007043c,
]);
const ACCESS_DENIED = 0x80070005;
/** CERTSRV_E_TEMPLATE_DENIED, CERTSRV_E_ENROLL_DENIED. */
const NO_RIGHTS: ReadonlySet<number> = new Set([0x80094012, 0x80094011]);

/** What an HRESULT with its words means for one order; throws where a person or time has to mend it. */
export function adcsFailure(code: number | undefined, message: string): IssuanceAnswer {
  const words = shortened(message) || "it gives no reason";
  const text = code === undefined ? words : `${words} (0x${code.toString(16)})`;
  if (code !== undefined && PASSING.has(code)) throw unavailable(`the CA does not answer: ${text}`);
  if (code === ACCESS_DENIED) throw credentialsRefused(`the CA refuses our account: ${text}`);
  if (code !== undefined && NO_RIGHTS.has(code)) {
    throw credentialsRefused(
      `our account may not enrol: give it Read and Enroll on the template, and Request Certificates on the CA: ${text}`,
    );
  }
  return refused("ca-refused", `AD CS refuses: ${text}`);
}

/** AD CS revokes over DCOM alone, which is not spoken here. */
export function revocationNotSupported(serialNumber: string): ConnectorError {
  return new ConnectorError(
    "ca-cannot-revoke",
    `AD CS has no way to revoke over HTTP; on the CA run: certutil -revoke ${serialNumber} and certutil -crl`,
  );
}

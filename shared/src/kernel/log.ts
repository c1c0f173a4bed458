import { type DestinationStream, type Logger, pino } from "pino";

/** Fields that never reach a log, wherever in the top two levels of an entry they stand. */
const SECRET_FIELDS = [
  "password",
  "passphrase",
  "secret",
  "token",
  "challenge",
  "challengePassword",
  "privateKey",
  "authorization",
  "cookie",
  "credentials",
  "jws",
  "csr",
];

/** Own limit: beyond this what a stuck reader of our output does not take is dropped, not kept in memory. */
const MAX_BUFFERED_BYTES = 16_777_216;

/** Not synchronous: a slow reader of our output must not stop the event loop. Flushed when the process exits. */
function standardOutput(): DestinationStream {
  return pino.destination({ fd: 1, sync: false, maxLength: MAX_BUFFERED_BYTES });
}

/** The root logger of a process: JSON lines on stdout, secrets replaced by `[redacted]`. */
export function makeLog(
  service: string,
  level: string,
  destination: DestinationStream = standardOutput(),
): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]),
        censor: "[redacted]",
      },
    },
    destination,
  );
}

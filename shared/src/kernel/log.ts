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

/** The root logger of a process: JSON lines on stdout, secrets replaced by `[redacted]`. */
export function makeLog(
  service: string,
  level: string,
  destination: DestinationStream = pino.destination({ fd: 1, sync: true }),
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

import { pino } from "pino";

/** Says nothing unless `LINK_TEST_LOG` names a level. */
export const silentLog = pino({ level: process.env["LINK_TEST_LOG"] ?? "silent" });

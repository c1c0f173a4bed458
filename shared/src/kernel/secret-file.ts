import { readFileSync } from "node:fs";
import { ConnectorError } from "../errors.ts";

/** Own limit on a secret. */
const MAX_SECRET_BYTES = 65_536;

/**
 * The secret in a file named by the configuration, without the line end that editors add.
 *
 * @throws ConnectorError `secret-unreadable`; the message names the file, never its content.
 */
export function readSecretFile(file: string): string {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (cause) {
    throw new ConnectorError("secret-unreadable", `secret file ${file} cannot be read`, { cause });
  }
  if (content.length > MAX_SECRET_BYTES) {
    throw new ConnectorError(
      "secret-unreadable",
      `secret file ${file} has ${content.length} bytes, at most ${MAX_SECRET_BYTES}`,
    );
  }
  const secret = content.toString("utf8").replace(/\r?\n$/, "");
  if (secret === "") throw new ConnectorError("secret-unreadable", `secret file ${file} is empty`);
  return secret;
}

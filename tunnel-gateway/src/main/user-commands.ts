import { randomBytes } from "node:crypto";
import { type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { hashPassword } from "../directory/password-hash.ts";
import { encodeOneTimeSecret, oneTimeUrl } from "../protocol/one-time-password.ts";
import { readPassword, type Terminal } from "./read-password.ts";

/** RFC 4226 section 4 recommends 160 bits, which every app takes. */
const SECRET_BYTES = 20;
const SALT_BYTES = 16;
/** As in the files that the values go to. */
const MAX_NAME_CHARACTERS = 256;

/** What fills the files of the authenticators `users` and `totp`. Neither needs a running gateway, nor writes anything. */
export function userCommands(input: () => Terminal): readonly CliCommand[] {
  return [
    {
      name: "hash-password",
      summary: "read a password without showing it, and print its hash for the file of users",
      async run(call) {
        const password = await readPassword(input(), call.note);
        const passwordHash = await hashPassword(password, randomBytes(SALT_BYTES));
        return { text: passwordHash, value: { passwordHash } };
      },
    },
    {
      name: "totp-secret",
      summary: "make a secret for one-time passwords, and print it for the file and for the app",
      positionals: [{ name: "user", summary: "the name that the first authenticator tells" }],
      options: {
        issuer: {
          type: "string",
          summary: "what the app shows",
          valueName: "NAME",
          default: "VPN",
        },
      },
      async run({ positionals: [user = ""], required }) {
        const issuer = required("issuer");
        if ([user, issuer].some((name) => !/^[^\p{Cc}]{1,256}$/u.test(name))) {
          throw new UsageError(`a name has 1 to ${MAX_NAME_CHARACTERS} printable characters`);
        }
        const bytes = randomBytes(SECRET_BYTES);
        const secret = encodeOneTimeSecret(bytes);
        const url = oneTimeUrl(bytes, issuer, user);
        return { text: `${secret}\n${url}`, value: { user, secret, url } };
      },
    },
  ];
}

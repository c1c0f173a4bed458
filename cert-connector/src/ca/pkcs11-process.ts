import type { FromHsmProcess, HsmActKind, HsmAnswers, ToHsmProcess } from "./pkcs11-messages.ts";
import { faultOf, Pkcs11Fault } from "./pkcs11-module.ts";
import { TokenSessions } from "./pkcs11-session.ts";

/**
 * The process that owns the vendor's library. It is one of its own because that code may hang or crash: then the connector
 * ends this process and starts another, which finds the library as new. Started by `hsm-process.ts`; ends with it.
 */

let sessions: TokenSessions | undefined;

process.on("message", (message: ToHsmProcess) => {
  void answer(message).then((said) => process.send?.(said));
});
process.on("disconnect", () => process.exit(0));
// A terminal sends these to all; the connector may have answers to sign yet, and ends this process when it goes.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);

async function answer(message: ToHsmProcess): Promise<FromHsmProcess> {
  const { id } = message;
  try {
    return { id, answer: await act(message) };
  } catch (error) {
    const { code, message: text, isSessionLost } = faultOf(error);
    return { id, fault: { code, message: text, isSessionLost } };
  }
}

async function act(message: ToHsmProcess): Promise<HsmAnswers[HsmActKind]> {
  if (message.kind === "open") {
    sessions = await TokenSessions.open(message.place);
    return sessions.token;
  }
  if (sessions === undefined) throw new Pkcs11Fault("hsm-failed", "the token is not open", true);
  switch (message.kind) {
    case "sign":
      return await sessions.sign(message);
    case "decryptRaw":
      return await sessions.decryptRaw(message);
    case "publicKey":
      return sessions.publicKey(message);
    case "generate":
      return await sessions.generate(message);
  }
}

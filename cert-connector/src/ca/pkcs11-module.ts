import { ConnectorError } from "@isthmus/shared/errors";
import type * as Pkcs11 from "pkcs11js";

/**
 * The one place that touches pkcs11js. It is an optional dependency: a connector with keys in files never loads it. Runs in
 * the process of its own that `pkcs11-process.ts` is.
 */

export type Library = typeof Pkcs11;
export type Module = Pkcs11.PKCS11;
export type Handle = Pkcs11.Handle;
export type Template = Pkcs11.Template;

/** A fault of the token or its library, with a code that the connector shows. */
export class Pkcs11Fault extends Error {
  readonly code: string;
  readonly isSessionLost: boolean;

  constructor(code: string, message: string, isSessionLost = false) {
    super(message);
    this.code = code;
    this.isSessionLost = isSessionLost;
  }
}

/** Loads the package and the vendor's library. Throws Pkcs11Fault `hsm-package-missing`, `hsm-module-unusable`. */
export async function loadModule(path: string): Promise<{ library: Library; module: Module }> {
  const library = await loadLibrary();
  const module = new library.PKCS11();
  try {
    module.load(path);
    module.C_Initialize({ flags: library.CKF_OS_LOCKING_OK });
  } catch (error) {
    throw new Pkcs11Fault(
      "hsm-module-unusable",
      `the PKCS#11 module ${path} cannot be loaded: ${messageOf(error)}; is it the library for this machine, and does its configuration stand where it looks for it?`,
    );
  }
  return { library, module };
}

async function loadLibrary(): Promise<Library> {
  try {
    const { default: library } = await import("pkcs11js");
    return library as unknown as Library;
  } catch (error) {
    throw new Pkcs11Fault(
      "hsm-package-missing",
      `keys in an HSM need the package pkcs11js, which cannot be loaded (${messageOf(error)}): install it with "npm install pkcs11js", which compiles its native part with g++, make and python3`,
    );
  }
}

const PIN_CODES: Readonly<Record<string, string>> = {
  CKR_PIN_INCORRECT: "hsm-pin-refused",
  CKR_PIN_INVALID: "hsm-pin-refused",
  CKR_PIN_LEN_RANGE: "hsm-pin-refused",
  CKR_PIN_EXPIRED: "hsm-pin-expired",
  CKR_PIN_LOCKED: "hsm-pin-locked",
};

/** What the token answered, as a fault. But for the PIN, all that goes wrong there is mended by opening it anew. */
export function faultOf(error: unknown): Pkcs11Fault {
  if (error instanceof Pkcs11Fault) return error;
  if (error instanceof ConnectorError) return new Pkcs11Fault(error.code, error.message);
  const answer = messageOf(error);
  const pin = PIN_CODES[answer];
  if (pin !== undefined) return new Pkcs11Fault(pin, `the token refused the PIN (${answer})`);
  const method = (error as { readonly method?: unknown })?.method;
  const act = typeof method === "string" && method !== "" ? method : "the token";
  return new Pkcs11Fault("hsm-failed", `${act} answered ${answer}`, true);
}

/** The name of a PKCS#11 return value where it is one: pkcs11js has no other message then. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0] ?? text;
}

import { createPublicKey, verify } from "node:crypto";
import { promisify } from "node:util";
import type { FromConnector } from "@isthmus/shared/link/messages";
import { helloSigningInput, PROTOCOL_VERSION } from "@isthmus/shared/link/messages";
import type { Admission, Refusal } from "../core/link-records.ts";
import type { LinkContext } from "./link-context.ts";

export type Hello = Extract<FromConnector, { type: "hello" }>;

/** What came of a hello. */
export type Admitted =
  | { readonly admission: Admission; readonly protocol: number; readonly refusal?: never }
  | { readonly admission?: never; readonly refusal: Refusal };

const verifyAsync = promisify(verify);

const SIGNATURE_INVALID: Refusal = {
  code: "signature-invalid",
  message: "unknown connector, or its signature does not verify",
  isFinal: true,
};
const ADMISSION_UNDER_WAY: Refusal = {
  code: "admission-under-way",
  message: "another connection of this connector is being admitted",
  isFinal: false,
};

/**
 * Decides on a hello: protocol, host dialled, signature over the nonce, then whether the connector may connect at all, and last
 * whether another live process has the same identity.
 */
export async function admit(context: LinkContext, hello: Hello, nonce: string): Promise<Admitted> {
  const { min, max } = PROTOCOL_VERSION;
  const protocol = Math.min(hello.protocol.max, max);
  if (protocol < Math.max(hello.protocol.min, min)) {
    const spoken = `this control plane speaks link protocol ${min} to ${max}`;
    return { refusal: { code: "protocol-unsupported", message: spoken, isFinal: true } };
  }
  if (context.names.size > 0 && !context.names.has(hello.channel)) {
    const message = `"${hello.channel.slice(0, 64)}" is no name of this control plane`;
    return { refusal: { code: "channel-foreign", message, isFinal: false } };
  }
  const refusal = await identityRefusal(context, hello, nonce);
  if (refusal !== undefined) return { refusal };
  if (!context.sessions.beginAdmission(hello.connectorId)) return { refusal: ADMISSION_UNDER_WAY };
  try {
    return await admitAlone(context, hello, protocol);
  } finally {
    context.sessions.endAdmission(hello.connectorId);
  }
}

async function identityRefusal(
  context: LinkContext,
  hello: Hello,
  nonce: string,
): Promise<Refusal | undefined> {
  const { connectorId, bootId, channel } = hello;
  const identity = await context.store.run("connectorIdentity", { connectorId });
  if (identity === undefined) return SIGNATURE_INVALID;
  const key = createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x: identity.publicKeyX },
    format: "jwk",
  });
  const signed = helloSigningInput({ nonce, connectorId, bootId, channel });
  const isSigned = await verifyAsync(null, signed, key, Buffer.from(hello.signature, "base64url"));
  return isSigned ? identity.refusal : SIGNATURE_INVALID;
}

async function admitAlone(context: LinkContext, hello: Hello, protocol: number): Promise<Admitted> {
  const { sessions, store, clock, log } = context;
  const { connectorId, bootId } = hello;
  const present = sessions.sessionOf(connectorId);
  if (present !== undefined && (await present.isAlive())) {
    const reason = `boot ${bootId} connected while another process with this identity was alive`;
    await store.run("quarantineConnector", { connectorId, reason, now: clock.now() });
    log.warn({ connectorId, bootId }, "connector.quarantined");
    const quarantined = await store.run("connectorIdentity", { connectorId });
    const refusal = quarantined?.refusal ?? SIGNATURE_INVALID;
    present.refuse(refusal);
    return { refusal };
  }
  present?.close();
  const now = clock.now();
  const outcome = await store.run("acceptConnector", {
    connectorId,
    bootId,
    epoch: hello.epoch,
    lastSeq: hello.lastSeq,
    commandSeq: hello.commandSeq,
    configurationVersion: hello.configurationVersion,
    clockOffsetMs: hello.clockMs - now,
    now,
  });
  return outcome.admission === undefined ? outcome : { admission: outcome.admission, protocol };
}

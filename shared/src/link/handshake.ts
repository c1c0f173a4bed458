import type { KeyObject } from "node:crypto";
import { sign } from "node:crypto";
import { promisify } from "node:util";
import { ConnectorError, ProtocolError } from "../errors.ts";
import type { LaneState } from "./lane-operations.ts";
import type { FromConnector, FromControlPlane } from "./messages.ts";
import { helloSigningInput, PROTOCOL_VERSION } from "./messages.ts";

/** Who a connector is on a connection. */
export interface LinkIdentity {
  readonly connectorId: string;
  /** Ed25519. */
  readonly privateKey: KeyObject;
  /** New with every start of the process. */
  readonly bootId: string;
}

export type Nonce = Extract<FromControlPlane, { type: "nonce" }>;
export type Welcome = Extract<FromControlPlane, { type: "welcome" }>;
type Hello = Extract<FromConnector, { type: "hello" }>;

const signAsync = promisify(sign);

/** What a connector says when it connects: who it is, proven by its signature over the server's nonce, and what it has. */
export async function makeHello(of: {
  readonly identity: LinkIdentity;
  readonly nonce: Nonce;
  /** The host that was dialled. */
  readonly channel: string;
  readonly lanes: LaneState;
  readonly configurationVersion: number;
  readonly capabilities: readonly string[];
  readonly clockMs: number;
}): Promise<Hello> {
  const { connectorId, bootId, privateKey } = of.identity;
  const signed = helloSigningInput({
    nonce: of.nonce.nonce,
    connectorId,
    bootId,
    channel: of.channel,
  });
  const signature = await signAsync(null, signed, privateKey);
  return {
    type: "hello",
    connectorId,
    bootId,
    channel: of.channel,
    epoch: of.lanes.epoch,
    protocol: PROTOCOL_VERSION,
    capabilities: [...of.capabilities],
    lastSeq: { ...of.lanes.lastSeq },
    commandSeq: of.lanes.commandSeq,
    configurationVersion: of.configurationVersion,
    clockMs: of.clockMs,
    signature: signature.toString("base64url"),
  };
}

/**
 * The answer to a hello, if it is a welcome. Throws the refusal as ConnectorError with the control plane's code, retryable unless it
 * is final; ProtocolError `link-handshake` for anything else.
 */
export function readWelcome(message: FromControlPlane): Welcome {
  if (message.type === "refused") throw refusalFrom(message);
  if (message.type !== "welcome") {
    throw new ProtocolError("link-handshake", `got ${message.type}, expected welcome`);
  }
  const { min, max } = PROTOCOL_VERSION;
  if (message.protocol < min || message.protocol > max) {
    throw new ProtocolError("link-handshake", `protocol ${message.protocol} was not offered`);
  }
  return message;
}

/** The control plane's own word that it does not want this connection; not retryable where a person has to act first. */
export class LinkRefusal extends ConnectorError {}

/** A control plane's refusal as an error. */
export function refusalFrom(message: Extract<FromControlPlane, { type: "refused" }>): LinkRefusal {
  return new LinkRefusal(message.code, `the control plane refused: ${message.message}`, {
    isRetryable: !message.isFinal,
  });
}

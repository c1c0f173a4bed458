import { ProtocolError } from "../errors.ts";
import type { FromConnector, FromControlPlane } from "./messages.ts";
import { fromConnector, fromControlPlane, MAX_TEXT_FRAME_BYTES } from "./messages.ts";

/** A text frame as read: a message, or the name of a kind that this code does not speak. */
export type Read<Message> =
  | { readonly message: Message; readonly unsupported?: never }
  | { readonly message?: never; readonly unsupported: string };

const MAX_KIND_LENGTH = 64;

/** Reads a text frame that a connector sent. Throws ProtocolError `link-frame-*`. */
export function readFromConnector(text: string): Read<FromConnector> {
  return read(text, fromConnector);
}

/** Reads a text frame that the control plane sent. Throws ProtocolError `link-frame-*`. */
export function readFromControlPlane(text: string): Read<FromControlPlane> {
  return read(text, fromControlPlane);
}

interface MessageSchema<Message> {
  readonly options: readonly { readonly shape: { readonly type: { readonly value: string } } }[];
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: Message }
    | { readonly success: false; readonly error: { readonly issues: readonly Issue[] } };
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function read<Message>(text: string, schema: MessageSchema<Message>): Read<Message> {
  if (text.length > MAX_TEXT_FRAME_BYTES) {
    throw new ProtocolError(
      "link-frame-too-large",
      `text frame of ${text.length} characters exceeds ${MAX_TEXT_FRAME_BYTES}`,
    );
  }
  const value = parse(text);
  const result = schema.safeParse(value);
  if (result.success) return { message: result.data };
  const kind = kindOf(value);
  if (!schema.options.some((option) => option.shape.type.value === kind)) {
    return { unsupported: kind.slice(0, MAX_KIND_LENGTH) };
  }
  const [issue] = result.error.issues;
  const where = issue?.path.map(String).join(".") ?? "";
  throw new ProtocolError(
    "link-message-invalid",
    `message ${kind} is invalid at "${where}": ${issue?.message ?? "unknown"}`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError("link-frame-not-json", "text frame is not JSON", cause);
  }
}

function kindOf(value: unknown): string {
  if (typeof value === "object" && value !== null && "type" in value) {
    if (typeof value.type === "string") return value.type;
  }
  throw new ProtocolError("link-message-untyped", "text frame holds no object with a type");
}

import { createCipheriv } from "node:crypto";
import type { Random } from "@isthmus/shared/random";
import type { InventorySink } from "../core/ports.ts";
import { rowBytes } from "../protocol/admin-service/page-rows.ts";
import type { AnswerBody } from "./answer-body.ts";

const CIPHER = "aes-128-gcm";
const KEY_BYTES = 16;
/** Always the same: see docs/adr/0028, and do not take it for anything else. */
const NONCE = Buffer.alloc(12);
const COMMA = Buffer.from(",");

const KEY = "page-key";
const KEY_DIGITS = /^[0-9a-f]{32}$/;

/**
 * GMAC over a table's layout and the rows of a range of it, hex: the same however the range was divided into requests, and these into pieces. It says
 * whether a range came in the bytes of before, to whoever has the key and shows no hash to anybody.
 */
export function pageHash(
  key: Buffer,
  layout: string,
  pages: readonly AnswerBody[],
): { readonly hash: string; readonly isEmpty: boolean } {
  const mac = createCipheriv(CIPHER, key, NONCE).setAAD(Buffer.from(layout));
  let isEmpty = true;
  for (const { chunks } of pages) {
    const pieces = rowBytes(chunks);
    if (pieces.length === 0) continue;
    if (!isEmpty) mac.setAAD(COMMA);
    for (const bytes of pieces) mac.setAAD(bytes);
    isEmpty = false;
  }
  mac.final();
  return { hash: mac.getAuthTag().toString("hex"), isEmpty };
}

/** The key of a source's page hashes, made where there is none: under another one all pages are new. */
export async function pageKeyOf(
  sink: Pick<InventorySink, "cursor" | "keepCursor">,
  random: Random,
): Promise<Buffer> {
  const kept = (await sink.cursor(KEY)) ?? "";
  if (KEY_DIGITS.test(kept)) return Buffer.from(kept, "hex");
  const key = random.bytes(KEY_BYTES);
  await sink.keepCursor(KEY, key.toString("hex"));
  return key;
}

import { ProtocolError } from "@isthmus/shared/errors";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeAccessAnswer } from "./radius-packet.ts";

test("no datagram without the secret is read as an answer, and none breaks the reader", () => {
  const request = { identifier: 1, authenticator: Buffer.alloc(16) };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), fc.boolean(), (bytes, isRequired) => {
      expect(() => decodeAccessAnswer(bytes, request, "a shared secret", isRequired)).toThrow(
        ProtocolError,
      );
    }),
  );
});

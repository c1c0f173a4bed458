import {
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
} from "node:crypto";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { listenerUrl, parseStrapKey, sealToken } from "./external-browser-token.ts";

const client = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const text = client.publicKey.export({ type: "spki", format: "der" }).toString("base64");
const iv = Buffer.alloc(12, 3);

function seal(token: string): Buffer {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  return sealToken({ token, clientKey: parseStrapKey(text), ephemeral: privateKey, iv });
}

/** What the client does with it (openconnect's hpke.c). */
function open(sealed: Buffer): string {
  expect(sealed.readUInt16BE(0)).toBe(1);
  const fields = new Map<number, Buffer>();
  for (let at = 2; at < sealed.length; ) {
    const length = sealed.readUInt16BE(at + 2);
    fields.set(sealed.readUInt16BE(at), sealed.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  const field = (type: number) => fields.get(type) ?? Buffer.alloc(0);
  const publicKey = createPublicKey({ key: field(1), format: "der", type: "spki" });
  const secret = diffieHellman({ privateKey: client.privateKey, publicKey });
  const key = Buffer.from(hkdfSync("sha256", secret, "", "AC_ECIES", 32));
  const decipher = createDecipheriv("aes-256-gcm", key, field(4), { authTagLength: 12 });
  decipher.setAuthTag(field(2));
  return Buffer.concat([decipher.update(field(3)), decipher.final()]).toString();
}

test("only the client can open a sealed token", () => {
  const sealed = seal("Token0123");
  expect(open(sealed)).toBe("Token0123");
  expect(sealed.includes("Token0123")).toBe(false);
});

test("the browser is sent to the client's listener, and from there to the last page", () => {
  const url = new URL(listenerUrl(seal("T"), "https://vpn.example/auth/entra/done"));
  expect(url.origin).toBe("http://localhost:29786");
  expect(url.searchParams.get("return")).toBe("https://vpn.example/auth/entra/done");
  const path = decodeURIComponent(url.pathname.slice("/api/sso/".length));
  expect(open(Buffer.from(path, "base64"))).toBe("T");
});

test.each(["", "a b", "semi;colon", "x".repeat(513)])("%s cannot be a token", (token) => {
  expect(() => seal(token)).toThrow(RangeError);
});

test.each([
  ["nothing", ""],
  ["no base64", "@@@@"],
  ["no key", Buffer.from("no key").toString("base64")],
  ["a key on another curve", otherKey("secp384r1")],
  ["too long", "A".repeat(513)],
])("%s is no client's key", (_what, given) => {
  expect(thrownCode(() => parseStrapKey(given))).toBe("strap-key");
});

function otherKey(namedCurve: string): string {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve });
  return publicKey.export({ type: "spki", format: "der" }).toString("base64");
}

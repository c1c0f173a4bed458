import { expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { decryptKerberos, deriveKey, encryptKerberos, foldTo } from "./kerberos-encryption.ts";

/** RFC 3961 appendix A.1. */
test.each([
  ["012345", 8, "be072631276b1955"],
  ["password", 7, "78a07b6caf85fa"],
  ["Rough Consensus, and Running Code", 8, "bb6ed30870b7f0e0"],
  ["password", 21, "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e"],
  ["MASSACHVSETTS INSTITVTE OF TECHNOLOGY", 24, "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b"],
  ["Q", 21, "518a54a2 15a8452a 518a54a2 15a8452a 518a54a2 15"],
  ["ba", 21, "fb25d531 ae897449 9f52fd92 ea9857c4 ba24cf29 7e"],
  ["kerberos", 16, "6b65726265726f737b9b5b2b93132b93"],
])("%s folds to %i octets", (text, size, hex) => {
  expect(foldTo(Buffer.from(text), size).toString("hex")).toBe(hex.replaceAll(" ", ""));
});

test("keys of 128 and 256 bits are derived for one use", () => {
  for (const length of [16, 32]) {
    const key = Buffer.alloc(length, 7);
    const [one, other] = [Buffer.from("0000000baa", "hex"), Buffer.from("0000000b55", "hex")];
    expect(deriveKey(key, one)).toHaveLength(length);
    expect(deriveKey(key, one)).not.toEqual(deriveKey(key, other));
  }
});

test("the output is as long as the input with its first block and its code", () => {
  const key = Buffer.alloc(32, 1);
  for (const length of [1, 15, 16, 17, 32, 100]) {
    const plain = Buffer.alloc(length, 2);
    const of = { key, usage: 11, plain, confounder: Buffer.alloc(16, 3) };
    expect(encryptKerberos(of)).toHaveLength(16 + length + 12);
  }
});

test("a key of another length is refused", () => {
  const of = { usage: 11, plain: Buffer.alloc(1), confounder: Buffer.alloc(16) };
  for (const length of [8, 24]) {
    const encrypt = () => encryptKerberos({ ...of, key: Buffer.alloc(length) });
    expect(thrownCode(encrypt)).toBe("kerberos-key");
  }
});

test("what was encrypted is decrypted, whatever its length", () => {
  for (const keyLength of [16, 32]) {
    const key = Buffer.alloc(keyLength, 9);
    for (let length = 1; length <= 65; length += 1) {
      const plain = Buffer.alloc(length, length);
      const cipher = encryptKerberos({ key, usage: 12, plain, confounder: Buffer.alloc(16, 3) });
      expect(decryptKerberos({ key, usage: 12, cipher })).toEqual(plain);
    }
  }
});

test("what was changed, cut or made for something else is refused", () => {
  const key = Buffer.alloc(32, 9);
  const made = { key, usage: 12, plain: Buffer.alloc(40), confounder: Buffer.alloc(16, 3) };
  const cipher = encryptKerberos(made);
  const decrypt = (of: object) => thrownCode(() => decryptKerberos({ ...made, cipher, ...of }));
  const changed = Buffer.from(cipher);
  changed[20] = (changed[20] ?? 0) ^ 1;
  expect(decrypt({ cipher: changed })).toBe("kerberos-integrity");
  for (const length of [0, 12, 28, cipher.length - 1]) {
    expect(decrypt({ cipher: cipher.subarray(0, length) })).toBe("kerberos-integrity");
  }
  expect(decrypt({ usage: 11 })).toBe("kerberos-integrity");
  expect(decrypt({ key: Buffer.alloc(32, 8) })).toBe("kerberos-integrity");
  expect(decrypt({ key: Buffer.alloc(24) })).toBe("kerberos-key");
});

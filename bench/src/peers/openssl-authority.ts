import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { neededTool } from "./tool.ts";

/** What bash's `times` prints last: user and system time of its children, as `0m0.123s 0m0.045s`. */
const TIMES = /(\d+)m([\d.]+)s (\d+)m([\d.]+)s\s*$/;

/** `openssl ca` with an ECDSA P-256 key and an index of revoked certificates. */
export class OpensslAuthority {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(folder: string, revoked: number): Promise<OpensslAuthority> {
    mkdirSync(folder, { recursive: true });
    const at = (name: string) => join(folder, name);
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const files = ["-keyout", at("key.pem"), "-out", at("ca.pem")];
    execFileSync(neededTool("openssl"), ["req", "-x509", ...key, ...files, "-subj", "/CN=Bench"], {
      stdio: "ignore",
    });
    const rows = Array.from({ length: revoked }, () => {
      const serial = `40${randomBytes(19).toString("hex")}`.toUpperCase();
      return `R\t351231235959Z\t260101000000Z,superseded\t${serial}\tunknown\t/CN=${serial}\n`;
    });
    writeFileSync(at("index.txt"), rows.join(""));
    writeFileSync(at("crlnumber"), "01\n");
    writeFileSync(
      at("ca.cnf"),
      [
        "[ca]\ndefault_ca = bench\n[bench]",
        `database = ${at("index.txt")}\ncrlnumber = ${at("crlnumber")}`,
        `certificate = ${at("ca.pem")}\nprivate_key = ${at("key.pem")}`,
        "default_md = sha256\ndefault_crl_days = 2\nunique_subject = no\ncrl_extensions = list",
        "[list]\nauthorityKeyIdentifier = keyid\n",
      ].join("\n"),
    );
    return new OpensslAuthority(folder);
  }

  /** CPU-ms of making one list, start of the program included. */
  async listCpuMs(): Promise<number> {
    const at = (name: string) => join(this.#folder, name);
    const command = '"$0" ca -gencrl -config "$1" -out "$2" 2>/dev/null && times';
    const words = ["-c", command, neededTool("openssl"), at("ca.cnf"), at("list.pem")];
    const { stdout, status } = spawnSync("bash", words, { encoding: "utf8" });
    const [, ...numbers] = TIMES.exec(stdout) ?? [];
    if (status !== 0 || numbers.length === 0) throw new Error("openssl ca -gencrl failed");
    const [userMinutes = 0, user = 0, systemMinutes = 0, system = 0] = numbers.map(Number);
    return ((userMinutes + systemMinutes) * 60 + user + system) * 1_000;
  }
}

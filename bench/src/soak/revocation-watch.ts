import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { cli, type SoakFiles } from "./soaking-connector.ts";

/** Revokes a certificate now and then, and holds each revocation list that is published to what a list has to be. */
export class RevocationWatch {
  readonly #files: SoakFiles;
  readonly #listUrl: URL;
  readonly #now: () => number;
  readonly #revoked: string[] = [];
  readonly faults: string[] = [];
  #number = 0n;
  #lists = 0;

  /** `now` is the moved clock. */
  constructor(files: SoakFiles, baseUrl: string, now: () => number) {
    const pem = readFileSync(join(files.folder, "ca", "issuing.pem"), "utf8");
    const issuing = parseCertificate(pemToDer(pem, "CERTIFICATE")[0] ?? Buffer.alloc(0));
    const keyId = keyIdentifierOf(issuing.publicKeyInfo).toString("hex");
    this.#files = files;
    this.#listUrl = new URL(`/crl/${keyId}.crl`, baseUrl);
    this.#now = now;
  }

  get revocations(): number {
    return this.#revoked.length;
  }

  /** How many lists of different numbers were seen. */
  get lists(): number {
    return this.#lists;
  }

  async revoke(serialNumber: string): Promise<void> {
    const { configurationFile } = this.#files;
    await cli("revoke", "--config", configurationFile, "--serial", serialNumber);
    this.#revoked.push(serialNumber);
  }

  async look(): Promise<void> {
    const response = await fetch(this.#listUrl);
    if (!response.ok) return this.#fault(`the list is answered with HTTP ${response.status}`);
    const list = parseCertificateList(Buffer.from(await response.arrayBuffer()));
    const number = list.crlNumber ?? 0n;
    if (number < this.#number) this.#fault(`list ${number} came after ${this.#number}`);
    if (number > this.#number) this.#lists += 1;
    this.#number = number;
    const late = this.#now() - (list.nextUpdate ?? 0);
    if (late > 0) this.#fault(`list ${number} was ${Math.round(late / 1000)} s past its end`);
    const missing = this.#revoked.filter((serial) => !list.revoked.has(serial)).length;
    if (missing > 0) this.#fault(`list ${number} lacks ${missing} revoked certificates`);
  }

  #fault(text: string): void {
    this.faults.push(text);
  }
}

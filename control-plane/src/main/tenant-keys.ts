import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ConnectorError } from "@isthmus/shared/errors";
import { readStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import type { PublicKey } from "@isthmus/shared/link/messages";
import type { ReceiptSigner, TenantKey } from "../core/ports.ts";

/** How long a start waits for its signer. */
const SIGNER_WITHIN_MS = 15_000;
const ASK_EVERY_MS = 25;

/** Every tenant key there ever was, so that what an earlier one signed can be verified, without the signer too. */
export class TenantKeys {
  readonly #file: string;
  readonly #signer: Pick<ReceiptSigner, "tenantKey">;
  #all: readonly PublicKey[];

  private constructor(file: string, signer: Pick<ReceiptSigner, "tenantKey">) {
    this.#file = file;
    this.#signer = signer;
    this.#all = knownTenantKeys(file);
  }

  /** Waits for the signer and notes its key. Throws `signer-unreachable` when it does not come up. */
  static async open(
    stateFolder: string,
    signer: Pick<ReceiptSigner, "tenantKey">,
  ): Promise<TenantKeys> {
    const keys = new TenantKeys(tenantKeysFile(stateFolder), signer);
    const deadline = performance.now() + SIGNER_WITHIN_MS;
    for (;;) {
      try {
        await keys.current();
        return keys;
      } catch (error) {
        const isWorthWaiting = error instanceof ConnectorError && error.isRetryable;
        if (!isWorthWaiting || performance.now() > deadline) throw error;
        await delay(ASK_EVERY_MS);
      }
    }
  }

  /** The key in force, asked of the signer. */
  readonly current = async (): Promise<TenantKey> => {
    const key = await this.#signer.tenantKey();
    if (!this.#all.some(({ x }) => x === key.x)) {
      this.#all = [...this.#all, key];
      writeFileAtomically(this.#file, JSON.stringify(this.#all), 0o644);
    }
    return key;
  };

  get all(): readonly PublicKey[] {
    return this.#all;
  }
}

export function tenantKeysFile(stateFolder: string): string {
  return join(stateFolder, "tenant-keys.json");
}

/** The keys noted in the file; none where there is no file yet. */
export function knownTenantKeys(file: string): readonly PublicKey[] {
  return JSON.parse(readStateFile(file) ?? "[]");
}

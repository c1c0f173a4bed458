import { join } from "node:path";
import { openStore, type Store } from "../store/store.ts";
import type { KernelStoreOperations } from "./kernel-store.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** A real store with the kernel's and the lanes' operations in a temporary folder. */
export interface StoreFixture extends AsyncDisposable {
  readonly file: string;
  readonly store: Store<KernelStoreOperations>;
  /** Closes the store and opens it again; `between` has the file for itself. */
  reopen(between?: (file: string) => void): Promise<void>;
}

export async function makeStore(): Promise<StoreFixture> {
  const folder = temporaryFolder();
  const file = join(folder.path, "store.db");
  const open = () =>
    openStore<KernelStoreOperations>({
      file,
      module: new URL("./kernel-store.ts", import.meta.url),
    });
  let store = await open();
  return {
    file,
    get store() {
      return store;
    },
    async reopen(between) {
      await store[Symbol.asyncDispose]();
      between?.(file);
      store = await open();
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

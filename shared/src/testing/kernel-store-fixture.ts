import { openStore, type Store } from "../store/store.ts";
import type { KernelStoreOperations } from "./kernel-store.ts";
import { changeStored, newStorePlace } from "./store-place.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** A real store with the kernel's and the lanes' operations in a temporary folder. */
export interface StoreFixture extends AsyncDisposable {
  readonly store: Store<KernelStoreOperations>;
  /** Closes the store and opens it again; `sql` is run in between, behind its back. */
  reopen(sql?: string): Promise<void>;
}

export async function makeStore(): Promise<StoreFixture> {
  const folder = temporaryFolder();
  const place = await newStorePlace(folder.path);
  const open = () =>
    openStore<KernelStoreOperations>({
      ...place,
      module: new URL("./kernel-store.ts", import.meta.url),
    });
  let store = await open();
  return {
    get store() {
      return store;
    },
    async reopen(sql) {
      await store[Symbol.asyncDispose]();
      if (sql !== undefined) await changeStored(place, sql);
      store = await open();
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

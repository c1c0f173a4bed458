import { openStore } from "@isthmus/shared/store/store";
import type { operations } from "../store/module.ts";
import type { ControlPlaneStore } from "../store/records.ts";

/** The control plane's store; `isReadOnly` beside a running one. */
export function openControlPlaneStore(
  file: string,
  isReadOnly = false,
): Promise<ControlPlaneStore> {
  const module = new URL("../store/module.ts", import.meta.url);
  return openStore<typeof operations>({ file, module, isReadOnly });
}

import type { InventorySource } from "../core/ports.ts";
import type { SourceObserver } from "./source-observer.ts";

/** A source that is to run, and what it is made of: one of another make takes its place. */
export interface WantedSource {
  readonly name: string;
  readonly make: string;
  readonly start: (observer: SourceObserver) => InventorySource;
}

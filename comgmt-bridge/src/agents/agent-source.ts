import { setTimeout as pauseFor } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { ReadRecord } from "../core/inventory-state.ts";
import type { InventorySink, InventorySource, KeyedReading } from "../core/ports.ts";
import { parseInventoryDocument } from "../protocol/inventory-document/inventory-document.ts";
import { FACETS, recordOf } from "./agent-records.ts";
import { DocumentFolder, type FolderLimits, type FoundFile } from "./document-folder.ts";

/** Own limit: documents that are told at once. */
const DOCUMENTS_AT_ONCE = 50;

export interface AgentSourceSettings {
  readonly name: string;
  readonly folder: string;
  readonly maxAgeMs: number;
  readonly everyMs: number;
  readonly scanMs: number;
  readonly settleMs: number;
  readonly incompleteMs: number;
  readonly limits: FolderLimits;
}

export interface AgentSourceParts {
  readonly clock: Clock;
  /** The folder cannot be read for now, or a file of it is not what it should be. */
  readonly onFault: (code: string, message: string) => void;
  /** Waits between looks; a timer unless given. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** For health and people. */
export interface AgentsState {
  readonly lastLookAt: number | undefined;
  readonly failure: ConnectorError | undefined;
  /** Devices with a document that is not too old. */
  readonly devices: number;
  /** Faulty files that could not be put away. */
  readonly stuck: number;
}

interface Document extends FoundFile {
  readonly key: string;
}

/** What is known of a file since it was last read. */
type KnownFile = Document | { readonly stamp: string; readonly isStuck: true };

/**
 * Devices whose agents write inventory documents into a folder: the newest document of a device is what is known of it, and a device
 * without one, or with an old one, is missing.
 */
export class AgentSource implements InventorySource {
  readonly type = "agents";
  readonly kinds: readonly RecordKind[] = ["device"];
  readonly #settings: AgentSourceSettings;
  readonly #parts: AgentSourceParts;
  readonly #folder: DocumentFolder;
  readonly #files = new Map<string, KnownFile>();
  /** The newest document of each device, old ones too. */
  readonly #devices = new Map<string, Document>();
  #lastLookAt: number | undefined;
  #lastScanAt = Number.NEGATIVE_INFINITY;
  #failure: ConnectorError | undefined;

  constructor(settings: AgentSourceSettings, parts: AgentSourceParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#folder = new DocumentFolder(settings.folder, settings.limits);
  }

  get name(): string {
    return this.#settings.name;
  }

  get state(): AgentsState {
    return {
      lastLookAt: this.#lastLookAt,
      failure: this.#failure,
      devices: this.#present().length,
      stuck: [...this.#files.values()].filter((file) => "isStuck" in file).length,
    };
  }

  async run(sink: InventorySink, signal: AbortSignal): Promise<void> {
    // Another bridge may have read since: everything is told once more, and found equal where it is.
    this.#files.clear();
    this.#devices.clear();
    this.#lastScanAt = Number.NEGATIVE_INFINITY;
    for (;;) {
      await sink.ready(signal);
      try {
        await this.#look(sink, signal);
        this.#failure = undefined;
      } catch (error) {
        if (!(error instanceof ConnectorError) || !error.code.startsWith("agents-")) throw error;
        this.#failure = error;
        this.#parts.onFault(error.code, error.message);
      }
      await this.#pause(signal);
    }
  }

  async read(kind: RecordKind, keys: readonly string[]): Promise<KeyedReading> {
    const records: ReadRecord[] = [];
    for (const key of kind === "device" ? keys : []) {
      const document = this.#devices.get(key);
      const isPresent = document !== undefined && this.#isRecent(document);
      const record = isPresent ? await this.#recordIn(document) : undefined;
      if (record?.key === key) records.push(record);
    }
    return { facets: FACETS, records };
  }

  #pause(signal: AbortSignal): Promise<unknown> {
    const { everyMs } = this.#settings;
    return this.#parts.pause?.(everyMs, signal) ?? pauseFor(everyMs, undefined, { signal });
  }

  async #look(sink: InventorySink, signal: AbortSignal): Promise<void> {
    const beganAt = this.#parts.clock.now();
    const found = await this.#folder.list();
    const isWhole = await this.#takeNew(found, sink, signal);
    this.#forgetGone(found);
    this.#lastLookAt = beganAt;
    const sinceScan = beganAt - this.#lastScanAt;
    // The device of a file that is still being written would be missing from a scan.
    if (!isWhole || (sinceScan >= 0 && sinceScan < this.#settings.scanMs)) return;
    const records = this.#present().map(({ key }) => ({ key, facets: {} }));
    await sink.ready(signal);
    await sink.applyRange("device", { range: undefined, facets: [], records, pages: {} });
    await sink.endScan("device", beganAt);
    this.#lastScanAt = beganAt;
  }

  /** Whether nothing has to be waited for. */
  async #takeNew(
    found: readonly FoundFile[],
    sink: InventorySink,
    signal: AbortSignal,
  ): Promise<boolean> {
    let isWhole = true;
    let read = 0;
    let records: ReadRecord[] = [];
    const tell = async () => {
      await sink.ready(signal);
      await sink.applyChanges("device", { facets: FACETS, records });
      sink.progress("device", read, found.length);
      records = [];
    };
    for (const file of found) {
      signal.throwIfAborted();
      read += 1;
      if (this.#files.get(file.name)?.stamp === file.stamp) continue;
      const record = await this.#take(file);
      if (record === "wait") isWhole &&= this.#files.has(file.name);
      else if (record !== undefined) records.push(record);
      if (records.length >= DOCUMENTS_AT_ONCE) await tell();
    }
    if (records.length > 0) await tell();
    return isWhole;
  }

  async #take(file: FoundFile): Promise<ReadRecord | "wait" | undefined> {
    const { settleMs, incompleteMs } = this.#settings;
    const now = this.#parts.clock.now();
    const age = now - file.writtenAt;
    // A time in the future says nothing of when it was written; the next look sees whether it still is.
    if (age >= 0 && age < settleMs) return "wait";
    try {
      // Whoever puts a file there also sets its time: no document is newer than those of now, or kept for longer.
      const found = { ...file, writtenAt: Math.min(file.writtenAt, now) };
      const record = await this.#recordIn(found);
      if (record === undefined) return "wait";
      const document = { ...found, key: record.key };
      this.#files.set(file.name, document);
      return this.#isNewest(document) && this.#isRecent(document) ? record : undefined;
    } catch (error) {
      if (!(error instanceof ConnectorError)) throw error;
      if (codeOf(error) === "inventory-document" && age >= 0 && age < incompleteMs) return "wait";
      await this.#reject(file, error);
      return undefined;
    }
  }

  /** Undefined where the file became another one meanwhile. */
  async #recordIn(file: FoundFile): Promise<ReadRecord | undefined> {
    const bytes = await this.#folder.read(file);
    return bytes && recordOf(parseInventoryDocument(bytes), file.writtenAt);
  }

  async #reject(file: FoundFile, error: ConnectorError): Promise<void> {
    const isAway = await this.#folder.reject(file, error.message);
    if (!isAway) this.#files.set(file.name, { stamp: file.stamp, isStuck: true });
    const where = isAway ? "it is in rejected" : "it cannot be put away and stays";
    this.#parts.onFault("agents-rejected", `${file.name}: ${error.message}; ${where}`);
  }

  #forgetGone(found: readonly FoundFile[]): void {
    const there = new Set(found.map(({ name }) => name));
    for (const [name, file] of this.#files) {
      if (there.has(name)) continue;
      this.#files.delete(name);
      if ("key" in file && this.#devices.get(file.key)?.name === name) this.#fallBack(file.key);
    }
  }

  /** An older document of the device, where there is one, is read at the next look. */
  #fallBack(key: string): void {
    this.#devices.delete(key);
    for (const [name, file] of this.#files) {
      if ("key" in file && file.key === key) this.#files.set(name, { ...file, stamp: "" });
    }
  }

  #isNewest(document: Document): boolean {
    const other = this.#devices.get(document.key);
    const isOlder = other !== undefined && other.writtenAt > document.writtenAt;
    if (isOlder && other.name !== document.name) return false;
    this.#devices.set(document.key, document);
    return true;
  }

  #isRecent({ writtenAt }: Document): boolean {
    return this.#parts.clock.now() - writtenAt < this.#settings.maxAgeMs;
  }

  #present(): Document[] {
    return [...this.#devices.values()].filter((document) => this.#isRecent(document));
  }
}

import type { InventoryDiffers } from "@isthmus/shared/link/inventory-messages";

/** Own limits: characters of the keys that wait, and what a message weighs besides them. */
const MAX_WAITING_CHARACTERS = 4_194_304;
const MESSAGE_CHARACTERS = 1_024;

/**
 * What the control plane found to differ and nobody has looked into yet. What does not fit is dropped, and so is what waits already: the next
 * digest finds again what still differs.
 */
export class WaitingRepairs {
  readonly #waiting = new Map<string, { message: InventoryDiffers; characters: number }>();
  #characters = 0;
  #dropped = 0;

  get dropped(): number {
    return this.#dropped;
  }

  add(message: InventoryDiffers): void {
    const name = JSON.stringify(message);
    const characters = name.length + MESSAGE_CHARACTERS;
    if (this.#waiting.has(name) || this.#characters + characters > MAX_WAITING_CHARACTERS) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.set(name, { message, characters });
    this.#characters += characters;
  }

  take(): InventoryDiffers | undefined {
    for (const [name, { message, characters }] of this.#waiting) {
      this.#waiting.delete(name);
      this.#characters -= characters;
      return message;
    }
    return undefined;
  }

  clear(): void {
    this.#waiting.clear();
    this.#characters = 0;
  }
}

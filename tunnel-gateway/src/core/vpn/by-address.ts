/**
 * Items by the address that they came from, the oldest of each first. Where there is no room for another, the address that
 * has most gives one up: were a full table closed, a few addresses would keep everyone out.
 */
export class ByAddress<Item> {
  readonly #items = new Map<string, Set<Item>>();

  add(address: string, item: Item): void {
    this.#items.set(address, this.#of(address).add(item));
  }

  remove(address: string, item: Item): void {
    const items = this.#of(address);
    items.delete(item);
    if (items.size === 0) this.#items.delete(address);
  }

  count(address: string): number {
    return this.#of(address).size;
  }

  oldestOf(address: string): Item | undefined {
    const [oldest] = this.#of(address);
    return oldest;
  }

  /** The oldest of the address that has most; of several the one that has had one for longest. */
  oldestOfGreediest(): Item | undefined {
    let greediest: ReadonlySet<Item> = new Set();
    for (const items of this.#items.values()) if (items.size > greediest.size) greediest = items;
    const [oldest] = greediest;
    return oldest;
  }

  #of(address: string): Set<Item> {
    return this.#items.get(address) ?? new Set();
  }
}

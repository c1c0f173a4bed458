import { type Cidr, contains, containsNetwork, type IpAddress } from "./ip-address.ts";
import { coverPorts, isInRanges, type PortRange } from "./port-range.ts";

/** A set of destinations that a rule names: one exact host name or one network, on some ports. */
export type DestinationSet =
  | { readonly kind: "name"; readonly name: string; readonly ports: readonly PortRange[] }
  | { readonly kind: "network"; readonly network: Cidr; readonly ports: readonly PortRange[] };

/** One place to connect to: the name asked for, if it was a name, and one address that it resolved to. */
export interface Destination {
  readonly name: string | undefined;
  readonly address: IpAddress;
  readonly port: number;
}

/** Whether `set` holds `destination`, by its name or by its address. */
export function isMember(set: DestinationSet, destination: Destination): boolean {
  if (!isInRanges(set.ports, destination.port)) return false;
  return set.kind === "name"
    ? set.name === destination.name
    : contains(set.network, destination.address);
}

/** The local bound on what any policy may open; undefined means that there is none. */
export type DestinationBound = readonly DestinationSet[] | undefined;

/**
 * Whether a policy may allow `set` under `bound`. A name outside the bound's names can still resolve into one of its
 * networks, which only the connection can tell; so it is within the bound as long as some network covers its ports.
 */
export function isWithinBound(set: DestinationSet, bound: DestinationBound): boolean {
  if (bound === undefined) return true;
  return bound.some((outer) => {
    if (!coverPorts(outer.ports, set.ports)) return false;
    if (set.kind === "name") return outer.kind === "network" || outer.name === set.name;
    return outer.kind === "network" && containsNetwork(outer.network, set.network);
  });
}

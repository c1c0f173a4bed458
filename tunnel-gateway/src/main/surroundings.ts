import { ConfigurationError } from "@isthmus/shared/errors";
import type { Guardrails } from "../config/guardrails.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import { compileDestinations, compileExceptions, compileNetwork } from "../core/compile-rules.ts";
import type { DestinationBound } from "../core/destination.ts";
import {
  broadcastOf,
  compileEgress,
  type EgressGuard,
  type Exception,
  type OwnListener,
} from "../core/egress.ts";
import { type Cidr, type IpAddress, parseAddress } from "../core/ip-address.ts";

/** The local configuration's say about destinations, read once. */
export interface LocalDestinations {
  readonly allowedInternal: readonly Exception[];
  readonly controlNetwork: readonly Cidr[];
  readonly bound: DestinationBound;
}

/** Reads exceptions, control networks and the guardrails' bound. @throws ConfigurationError with every fault. */
export function readLocalDestinations(
  local: LocalConfiguration,
  guardrails: Guardrails,
): LocalDestinations {
  const faults: string[] = [];
  const allowedInternal = compileExceptions(local.allowedInternal, "allowedInternal", faults);
  const controlNetwork = local.controlNetwork.flatMap(
    (text, index) => compileNetwork(text, `controlNetwork.${index}`, faults) ?? [],
  );
  const bound =
    guardrails.destinations &&
    compileDestinations(guardrails.destinations, "guardrails.destinations", faults);
  if (faults.length > 0) throw new ConfigurationError("the local configuration", faults);
  return { allowedInternal, controlNetwork, bound };
}

/** The default-deny list of a host with these addresses. */
export function egressOf(
  destinations: LocalDestinations,
  addresses: readonly string[],
  ownListeners: readonly OwnListener[],
): EgressGuard {
  return compileEgress({
    allowedInternal: destinations.allowedInternal,
    controlNetwork: destinations.controlNetwork,
    ownAddresses: addresses.flatMap((text) => parseAddress(text.split("/")[0] ?? "") ?? []),
    broadcastAddresses: addresses.flatMap((text) => broadcastOf(text) ?? []),
    ownListeners,
  });
}

/** A listener as the default-deny list wants it; one on every address has none of its own. */
export function ownListener(address: string, port: number): OwnListener {
  const parsed: IpAddress | undefined = parseAddress(address);
  return { address: parsed?.value === 0n ? undefined : parsed, port };
}

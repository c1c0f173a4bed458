import type { TunnelMetricName } from "./tunnel-metrics.ts";

/** What an administrator does about each metric of a tunnel server that is not healthy. */
export const TUNNEL_REMEDIES: Readonly<Record<TunnelMetricName, string>> = {
  "last-check-in-seconds":
    "See on its host that the gateway runs and that it reaches the control plane: `tunnel-gateway check` tests both the way and the key",
  "connections-percent":
    "Add a gateway, or raise what limits this one: its addresses, its configured limits, or the machine",
  "cpu-percent": "Give the host more processors or add a gateway, and see what else runs there",
  "memory-percent": "Give the host or the container more memory, and see what else runs there",
  "cpu-cores": "Give the host or the container at least as many processors as are healthy",
  "disk-free-megabytes":
    "Free space on the file system of the gateway's state folder, or make it larger",
  "latency-microseconds":
    "See whether the processors are busy or shared with other machines; add processors or a gateway",
  "tls-certificate-days":
    "Renew the TLS certificate and put it where the gateway's local file names it",
  "tls-certificate-revocation":
    "If the TLS certificate is revoked, replace it; if that cannot be checked, let the gateway reach the responder or list that the certificate names",
  "internal-network-probe":
    "See from the gateway's host that the site's internalNetworkProbeUrl resolves and answers; mend the network or the URL",
  "versions-behind": "Upgrade the gateway where it runs, with its package or image",
  "configuration-applied":
    "Change what the reason names, in the desired configuration or in the gateway's local file; one that is late waits for the gateway to connect",
};

/** For what a gateway finds wrong itself, whose reason says what it is. */
export const OWN_CHECK_REMEDY =
  "Run `tunnel-gateway check` on the gateway's host: it says how to mend what fails";

import type { Device } from "./device.ts";
import type { IpAddress } from "./ip-address.ts";

/** Turns a host name into addresses. */
export interface Resolver {
  /** Every address of `name`, at least one. Throws `ConnectorError` with code `dns-not-found`, `dns-timeout` or `dns-failed`. */
  resolve(name: string, signal: AbortSignal): Promise<readonly IpAddress[]>;
}

/** Fetches what certification authorities publish about revocations. */
export interface RevocationSource {
  /** A certificate revocation list from `http:`, `https:` or `file:`, DER or PEM as it stands there. */
  fetchList(url: URL, signal: AbortSignal): Promise<Uint8Array>;
  /** The DER of an OCSP answer to the DER of a request. */
  askResponder(url: URL, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/** One change of device states, as the cloud sent it. */
export interface DeviceUpdate {
  /** Only grows; a device keeps the version that last spoke of it. */
  readonly version: number;
  /** Whether `devices` are all there are. */
  readonly isSnapshot: boolean;
  readonly devices: readonly Device[];
}

/** What an update did. */
export interface DeviceChanges {
  /** False for an update that newer ones had made superfluous. */
  readonly isApplied: boolean;
  readonly changed: readonly Device[];
  /** Devices that a snapshot no longer had. */
  readonly forgotten: readonly string[];
}

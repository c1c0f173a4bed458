import type { CommandKind, DeviceState, Service } from "@isthmus/shared/link/messages";
import type { CancellationOutcome, UnsignedCommand } from "./connector-records.ts";
import type { NewUserPfx, PfxDeliveryRequest, PkcsRequest, UserPfxChange } from "./pfx-records.ts";
import type { Role } from "./roles.ts";
import type { ScepChallenge } from "./scep-challenge.ts";
import type { SiteActionOperations } from "./site-action-records.ts";
import type { TunnelMetricName, TunnelThreshold } from "./tunnel-metrics.ts";

/** What passes between the store and those who act for administrators. Times are ms since the epoch. */

/** Who does it and when: stands in the audit chain beside what was done. */
export interface Act {
  readonly actor: string;
  readonly now: number;
}

export interface NewAdministrator extends Act {
  readonly id: string;
  readonly userName: string;
  readonly passwordHash: string;
  readonly roles: readonly Role[];
}

/** Fields that are left out stay as they are. Whoever is disabled or gets another password loses every session. */
export interface AdministratorChange extends Act {
  readonly id: string;
  readonly roles?: readonly Role[];
  readonly isDisabled?: boolean;
  readonly passwordHash?: string;
}

/** What a login is checked against. */
export interface StoredLogin {
  readonly id: string;
  readonly passwordHash: string;
  readonly isDisabled: boolean;
}

export interface NewSession {
  readonly administratorId: string;
  /** SHA-256 of the bearer token, hex. */
  readonly tokenHash: string;
  readonly now: number;
  readonly expiresAt: number;
  readonly address: string;
}

export interface Session {
  readonly administratorId: string;
  readonly userName: string;
  readonly roles: readonly Role[];
  readonly expiresAt: number;
}

export interface NewEnrolmentToken extends Act {
  /** SHA-256 of the secret, hex. */
  readonly secretHash: string;
  readonly service: Service;
  readonly displayName: string | undefined;
  readonly expiresAt: number;
}

export interface ConnectorChange extends Act {
  readonly id: string;
  readonly displayName?: string;
  readonly isDisabled?: boolean;
}

/** A whole document; the store gives it the next version. */
export interface NewConfiguration extends Act {
  readonly connectorId: string;
  readonly configuration: unknown;
  /** Refuses with `configuration-conflict` unless this is the newest version. */
  readonly ifVersion?: number;
}

export interface UnsignedConfiguration {
  readonly connectorId: string;
  readonly version: number;
  readonly service: Service;
  readonly configuration: unknown;
  readonly issuedAt: number;
}

export type Compliance = DeviceState["compliance"];

/** Fields that are left out stay as they are, null empties one. */
export interface DeviceChange extends Act {
  readonly id: string;
  readonly deviceName?: string | null;
  readonly operatingSystem?: string | null;
  readonly userPrincipalName?: string | null;
  readonly groups?: readonly string[];
  readonly compliance?: Compliance;
  readonly complianceReason?: string | null;
  /** Its id in Entra: what the device of a source is found by that it is joined with. */
  readonly azureADDeviceId?: string | null;
  /** Number of the inventory record that it is, whatever its ids say. */
  readonly recordId?: number | null;
}

/** Properties of a tunnel site or configuration by their Graph names, checked, JSON values as text. */
export interface TunnelObject extends Act {
  readonly id: string;
  readonly values: Readonly<Record<string, string | number | null>>;
}

export interface TunnelServerAssignment extends Act {
  /** Id of the tunnel-gateway connector. */
  readonly id: string;
  readonly siteId: string | null;
}

/** Null puts a threshold back to its default. */
export interface TunnelThresholdChange extends Act {
  readonly id: TunnelMetricName;
  readonly threshold: TunnelThreshold | null;
}

/** Values of one metric of one tunnel server, from and to included. */
export interface TunnelSeriesRequest {
  readonly id: string;
  readonly name: TunnelMetricName;
  readonly from: number;
  readonly to: number;
}

export interface RevocationRequest extends Act {
  readonly connectorId: string;
  readonly serialNumber: string;
  readonly reason: string;
  readonly commandId: string;
}

/** A command that an administrator asks for by itself. */
export interface CommandRequest extends Act {
  readonly id: string;
  readonly connectorId: string;
  readonly kind: CommandKind;
  readonly payload: unknown;
  readonly expiresAt: number;
}

/** Somebody carries a whole list away. */
export interface ExportAct extends Act {
  /** Path below `/beta/deviceManagement`, and its query. */
  readonly path: string;
  readonly query: string;
}

/** Everything that is asked of the store by name, each in a transaction of its own that also writes the audit chain. */
export interface RecordOperations extends SiteActionOperations {
  createAdministrator(argument: NewAdministrator): void;
  changeAdministrator(argument: AdministratorChange): void;
  countAdministrators(argument: Record<string, never>): number;
  loginOf(argument: { readonly userName: string }): StoredLogin | undefined;
  openSession(argument: NewSession): Session;
  refuseSession(argument: { userName: string; address: string; reason: string; now: number }): void;
  closeSession(argument: Act & { readonly tokenHash: string }): void;
  createEnrolmentToken(argument: NewEnrolmentToken): void;
  deleteEnrolmentToken(argument: Act & { readonly secretHash: string }): void;
  changeConnector(argument: ConnectorChange): void;
  liftQuarantine(argument: Act & { readonly id: string }): void;
  writeConfiguration(argument: NewConfiguration): { readonly version: number };
  takeUnsignedConfigurations(argument: { readonly limit: number }): UnsignedConfiguration[];
  storeConfigurationSignature(argument: {
    readonly connectorId: string;
    readonly version: number;
    readonly jws: string;
  }): void;
  renumberConfiguration(argument: { readonly connectorId: string; readonly version: number }): void;
  createDevice(argument: DeviceChange): void;
  changeDevice(argument: DeviceChange): void;
  removeDevice(argument: Act & { readonly id: string }): void;
  recordExport(argument: ExportAct): void;
  feedGateways(argument: { readonly now: number }): { readonly queued: number };
  putTunnelSite(argument: TunnelObject): void;
  deleteTunnelSite(argument: Act & { readonly id: string }): void;
  putTunnelConfiguration(argument: TunnelObject): void;
  deleteTunnelConfiguration(argument: Act & { readonly id: string }): void;
  assignTunnelServer(argument: TunnelServerAssignment): void;
  setTunnelThreshold(argument: TunnelThresholdChange): void;
  tunnelHealthSeries(
    argument: TunnelSeriesRequest,
  ): readonly { readonly at: number; readonly value: number }[];
  requestRevocation(argument: RevocationRequest): { readonly commandId: string };
  recordChallenge(argument: Act & { readonly challenge: ScepChallenge }): void;
  requestCommand(argument: CommandRequest): void;
  requestCancellation(
    argument: Act & { readonly id: string; readonly cancelId: string },
  ): CancellationOutcome;
  takeUnsignedCommands(argument: { readonly limit: number }): UnsignedCommand[];
  storeCommandSignature(argument: { readonly id: string; readonly jws: string }): void;
  renumberCommands(argument: { readonly connectorId: string }): void;
  refuseUnsignedCommand(argument: {
    readonly id: string;
    readonly error: { readonly code: string; readonly message: string };
    readonly now: number;
  }): void;
  createUserPfx(argument: NewUserPfx): { readonly id: string };
  changeUserPfx(argument: UserPfxChange): void;
  removeUserPfx(argument: Act & { readonly id: string; readonly ifModifiedAt?: number }): void;
  requestPkcsCertificate(argument: PkcsRequest): void;
  requestPfxDelivery(argument: PfxDeliveryRequest): void;
  recordTrust(argument: Act & { readonly jws: string; readonly thumbprint: string }): void;
}

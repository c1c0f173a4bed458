import { CO_MANAGEMENT_RESOURCES } from "./co-management-resources.ts";
import {
  boolean,
  json,
  number,
  optionalJson,
  optionalNumber,
  optionalText,
  optionalTime,
  text,
  time,
} from "./property-types.ts";
import { SITE_ACTION_RESOURCES } from "./site-action-resources.ts";

/**
 * What the API lists: each resource with its properties in Graph's spelling. The store answers a list query with columns of
 * these very names; the API renders them by type.
 */

/**
 * `time` is ms in the store and ISO 8601 outside, `boolean` is 0 or 1 inside, `json` is text inside and a value outside, `record` is the
 * number of an inventory record inside and its GUID outside (`record-guid.ts`), `sequence` is a number inside and 16 digits outside.
 */
export type PropertyType = "text" | "number" | "time" | "boolean" | "json" | "record" | "sequence";

/** How the value of a `json` property is put into Graph's words; `graph/shapes.ts`. */
export type Shape =
  | "enabledFeatures"
  | "clientHealth"
  | "clientInformation"
  | "deviceActionResults"
  | "inventoryQuota";

export interface Property {
  readonly type: PropertyType;
  /** Left out, a property always has a value. */
  readonly isNullable?: true;
  /** Of text: capital and small ASCII letters are the same in filters and orders. */
  readonly ignoresCase?: true;
  /** Of json. */
  readonly shape?: Shape;
}

export type Properties = Readonly<Record<string, Property>>;

/** Each has `id`, text and unique: the last word of every order. */
export const RESOURCES = {
  connectors: {
    id: text,
    service: text,
    displayName: text,
    /** connected, disconnected, quarantined or disabled. */
    status: text,
    isConnected: boolean,
    createdDateTime: time,
    connectedDateTime: optionalTime,
    lastSeenDateTime: optionalTime,
    clockOffsetMs: optionalNumber,
    configurationVersion: number,
    configurationVersionApplied: number,
    configurationError: optionalText,
    quarantinedDateTime: optionalTime,
    quarantineReason: optionalText,
    disabledDateTime: optionalTime,
    /** The last health snapshot, see `healthSnapshot` of the link's messages. */
    health: optionalJson,
    healthDateTime: optionalTime,
  },
  enrolmentTokens: {
    id: text,
    service: text,
    displayName: optionalText,
    createdDateTime: time,
    expirationDateTime: time,
    usedDateTime: optionalTime,
    connectorId: optionalText,
  },
  ...CO_MANAGEMENT_RESOURCES,
  ...SITE_ACTION_RESOURCES,
  microsoftTunnelSites: {
    id: text,
    displayName: text,
    description: optionalText,
    publicAddress: text,
    upgradeWindowUtcOffsetInMinutes: number,
    upgradeWindowStartTime: text,
    upgradeWindowEndTime: text,
    upgradeAutomatically: boolean,
    upgradeAvailable: boolean,
    internalNetworkProbeUrl: optionalText,
    roleScopeTagIds: json,
    microsoftTunnelConfigurationId: optionalText,
  },
  microsoftTunnelConfigurations: {
    id: text,
    displayName: text,
    description: optionalText,
    network: optionalText,
    ipv6Network: optionalText,
    dnsServers: json,
    defaultDomainSuffix: optionalText,
    routeIncludes: json,
    routeExcludes: json,
    /** Graph's older names of the two above. */
    routesInclude: json,
    routesExclude: json,
    splitDNS: json,
    listenPort: number,
    advancedSettings: json,
    lastUpdateDateTime: time,
    roleScopeTagIds: json,
    disableUdpConnections: boolean,
  },
  microsoftTunnelServers: {
    id: text,
    displayName: text,
    tunnelServerHealthStatus: text,
    lastCheckinDateTime: optionalTime,
    agentImageDigest: optionalText,
    serverImageDigest: optionalText,
    deploymentMode: text,
    microsoftTunnelSiteId: optionalText,
    /** Ours: what the gateway says of itself. */
    serverVersion: optionalText,
    /** Ours: the figures and checks behind the status, each with a reason and, unless healthy, a remedy. */
    healthDetails: optionalJson,
  },
  /** The id is the metric's name, see `tunnel-metrics.ts`. */
  microsoftTunnelHealthThresholds: {
    id: text,
    healthyThreshold: number,
    unhealthyThreshold: number,
    defaultHealthyThreshold: number,
    defaultUnhealthyThreshold: number,
    /** Ours. */
    unit: text,
  },
  certificateProfiles: {
    id: text,
    profileId: text,
    connectorId: text,
    connectorDisplayName: text,
    configurationVersion: number,
    profile: json,
  },
  issuedCertificates: {
    id: text,
    serialNumber: text,
    issuer: text,
    subject: optionalText,
    thumbprint: optionalText,
    connectorId: text,
    transactionId: text,
    profileId: optionalText,
    managedDeviceId: optionalText,
    userPrincipalName: optionalText,
    notBeforeDateTime: optionalTime,
    notAfterDateTime: optionalTime,
    issuedDateTime: optionalTime,
    /** issued, revocationPending or revoked. */
    state: text,
    revokedDateTime: optionalTime,
    revocationReason: optionalText,
  },
  /** As Microsoft Graph (beta) has it; both secrets are always read as empty. */
  userPfxCertificates: {
    id: text,
    thumbprint: text,
    intendedPurpose: text,
    userPrincipalName: text,
    startDateTime: time,
    expirationDateTime: time,
    providerName: text,
    keyName: text,
    paddingScheme: text,
    encryptedPfxBlob: text,
    encryptedPfxPassword: text,
    createdDateTime: time,
    lastModifiedDateTime: time,
  },
  certificateDeliveries: {
    id: text,
    requestId: text,
    managedDeviceId: text,
    connectorId: text,
    /** certificate.pkcs or pfx.deliver. */
    kind: text,
    serialNumber: text,
    thumbprint: text,
    recipientThumbprint: text,
    notAfterDateTime: time,
    createdDateTime: time,
    /** CMS EnvelopedData, DER in base64: only the device's key opens it. */
    envelope: text,
  },
  issuanceFailures: {
    id: text,
    connectorId: text,
    transactionId: text,
    failedDateTime: time,
    profileId: optionalText,
    managedDeviceId: optionalText,
    userPrincipalName: optionalText,
    code: text,
    message: text,
  },
  commands: {
    id: text,
    connectorId: text,
    kind: text,
    sequenceNumber: optionalNumber,
    state: text,
    actor: text,
    payload: json,
    createdDateTime: time,
    notBeforeDateTime: time,
    expirationDateTime: time,
    stateDateTime: time,
    result: optionalJson,
    error: optionalJson,
  },
  scepChallenges: {
    id: text,
    connectorId: text,
    profileId: text,
    managedDeviceId: text,
    userPrincipalName: optionalText,
    subject: text,
    subjectAltNames: json,
    createdDateTime: time,
    expirationDateTime: time,
    actor: text,
  },
  desiredConfigurations: {
    id: text,
    connectorId: text,
    version: number,
    isSigned: boolean,
    isApplied: boolean,
    createdDateTime: time,
    configuration: json,
    /** What the connector is sent where its tunnel site adds to its own configuration; null where nothing is added. */
    effectiveConfiguration: optionalJson,
  },
  auditEvents: {
    id: text,
    /** `control-plane`, or the id of the connector whose chain it is. */
    source: text,
    index: number,
    activityDateTime: time,
    activity: text,
    actor: optionalText,
    hash: text,
    previousHash: text,
    details: optionalJson,
  },
  administrators: {
    id: text,
    userName: text,
    roles: json,
    createdDateTime: time,
    passwordDateTime: time,
    disabledDateTime: optionalTime,
    lastSignInDateTime: optionalTime,
  },
} as const satisfies Readonly<Record<string, Properties>>;

export type ResourceName = keyof typeof RESOURCES;

/** The properties of a resource, by a name that may come from anywhere. */
export function propertiesOf(resource: ResourceName): Properties {
  return RESOURCES[resource];
}

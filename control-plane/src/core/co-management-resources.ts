import {
  boolean,
  json,
  optionalBoolean,
  optionalJson,
  optionalName,
  optionalNumber,
  optionalRecord,
  optionalText,
  optionalTime,
  record,
  sequence,
  text,
  time,
} from "./property-types.ts";

/**
 * Resources of co-management and tenant attach: Graph's names where it has them (managedDevice, comanagementEligibleDevice), and our own
 * for what it has not, which begin with `configurationManager`. docs/comgmt-bridge/graph.md says where each property comes from.
 */

/** A managedDevice, whoever told of it. */
const MANAGED_DEVICE = {
  id: text,
  deviceName: optionalName,
  operatingSystem: optionalName,
  osVersion: optionalText,
  userPrincipalName: optionalName,
  groups: json,
  complianceState: text,
  complianceReason: optionalText,
  enrolledDateTime: time,
  lastModifiedDateTime: time,
  lastSyncDateTime: optionalTime,
  managementAgent: text,
  managementState: text,
  manufacturer: optionalName,
  model: optionalName,
  serialNumber: optionalName,
  azureADDeviceId: optionalName,
  configurationManagerClientEnabledFeatures: { ...optionalJson, shape: "enabledFeatures" },
  configurationManagerClientHealthState: { ...optionalJson, shape: "clientHealth" },
  configurationManagerClientInformation: { ...optionalJson, shape: "clientInformation" },
  deviceActionResults: { ...json, shape: "deviceActionResults" },
  /** Ours: CoManagementFlags whole, with the bits that nobody documented. */
  coManagementFlags: optionalNumber,
  /** Ours: what the source itself calls the operating system. */
  osDescription: optionalText,
  /** Ours: whether the client is connected to its site now. */
  isOnline: optionalBoolean,
  /** Ours: the source that tells of the device and the key it has there; null where only administrators speak of it. */
  configurationManagerSite: optionalText,
  configurationManagerKey: optionalText,
  /** Ours: the device as its source tells of it, where an administrator's entry is joined with it. */
  syncedDeviceId: { type: "record", isNullable: true },
} as const;

/** What every kind of record but devices has. */
const RECORD = {
  id: record,
  displayName: optionalName,
  configurationManagerSite: text,
  key: text,
  firstSeenDateTime: time,
  lastModifiedDateTime: time,
} as const;

export const CO_MANAGEMENT_RESOURCES = {
  managedDevices: MANAGED_DEVICE,
  comanagedDevices: MANAGED_DEVICE,
  comanagementEligibleDevices: {
    id: record,
    deviceName: optionalName,
    deviceType: text,
    clientRegistrationStatus: text,
    ownerType: text,
    managementAgents: text,
    managementState: text,
    /** The id in managedDevices. */
    referenceId: text,
    mdmStatus: text,
    osVersion: optionalText,
    serialNumber: optionalName,
    manufacturer: optionalName,
    model: optionalName,
    osDescription: optionalText,
    entitySource: { type: "number" },
    userId: optionalText,
    upn: optionalName,
    userEmail: optionalText,
    userName: optionalText,
    status: text,
    /** Ours. */
    configurationManagerSite: text,
  },
  configurationManagerCollections: {
    ...RECORD,
    collectionId: text,
    comment: optionalText,
    limitingCollectionId: optionalText,
    isBuiltIn: optionalBoolean,
    /** As the site counts, and how many of them are known here. */
    memberCount: optionalNumber,
    knownMemberCount: { type: "number" },
    lastMemberChangeDateTime: optionalText,
  },
  /** Members of collections, for `/configurationManagerCollections/{id}/members`. */
  configurationManagerMembers: { ...MANAGED_DEVICE, id: record, collectionRecordId: record },
  /** Collections of devices, for `/managedDevices/{id}/configurationManagerCollections`. */
  configurationManagerMemberships: {
    ...RECORD,
    collectionId: text,
    deviceRecordId: record,
  },
  /** Every system that is read: sites, domains, agents. */
  configurationManagerSites: {
    id: text,
    displayName: text,
    sourceType: text,
    createdDateTime: time,
    isRead: boolean,
    leaseHolderId: optionalText,
    leaseHolderDisplayName: optionalText,
    leaseExpirationDateTime: optionalTime,
    lastEntryDateTime: optionalTime,
    revision: { type: "number" },
    refusedRecords: { type: "number" },
    /** Whether it has no room for more, and what it takes of what it may: records, octets, limits, refused for want of room, since when. */
    isOverQuota: boolean,
    quota: { ...json, shape: "inventoryQuota" },
    /** Records by kind. */
    counts: json,
    /** The five that were learnt last; all stand below `/events`. */
    lastEvents: json,
  },
  configurationManagerSiteEvents: {
    id: sequence,
    configurationManagerSite: text,
    eventDateTime: time,
    recordedDateTime: time,
    /** bridge or cloud: who says so. */
    side: text,
    event: text,
    kind: optionalText,
    message: text,
    figures: optionalJson,
    /** Records that it names, the first of them: id, key and displayName of each. */
    records: optionalJson,
  },
  configurationManagerUsers: {
    ...RECORD,
    userPrincipalName: optionalName,
    userName: optionalText,
    mail: optionalText,
    securityIdentifier: optionalText,
    azureADUserId: optionalText,
    domain: optionalText,
    groups: optionalJson,
    /** As Graph's user has them; all four out of a domain. */
    accountEnabled: optionalBoolean,
    department: optionalText,
    jobTitle: optionalText,
    companyName: optionalText,
    /** What a domain that is read tells of the same account: found by its SID. */
    directoryRecordId: optionalRecord,
    directory: optionalText,
  },
  configurationManagerGroups: {
    ...RECORD,
    securityIdentifier: optionalText,
    domain: optionalText,
    mail: optionalText,
    /** As the domain counts. */
    memberCount: optionalNumber,
    details: optionalJson,
  },
  /** Members of a domain's group, for `/configurationManagerGroups/{id}/members`. */
  configurationManagerGroupMembers: {
    /** As it is listed in configurationManagerUsers, managedDevices or configurationManagerGroups. */
    id: record,
    groupRecordId: record,
    /** user, device or group. */
    memberType: text,
    displayName: optionalName,
    securityIdentifier: optionalText,
    userPrincipalName: optionalName,
    mail: optionalText,
    directoryRecordId: record,
    directory: text,
    directoryKey: text,
    /** The site that has the same account, found by its SID. */
    configurationManagerSite: optionalText,
  },
  configurationManagerApplications: {
    ...RECORD,
    publisher: optionalText,
    softwareVersion: optionalText,
    uniqueId: optionalText,
    isDeployed: optionalBoolean,
    isEnabled: optionalBoolean,
    isExpired: optionalBoolean,
    isSuperseded: optionalBoolean,
    numberOfDeployments: optionalNumber,
  },
  configurationManagerDeployments: {
    ...RECORD,
    collectionId: optionalText,
    targetName: optionalText,
    targetId: optionalText,
    /** required, available, simulate or unknown. */
    intent: text,
    featureType: optionalNumber,
    deploymentTime: optionalText,
  },
  configurationManagerSoftwareUpdates: {
    ...RECORD,
    articleId: optionalText,
    bulletinId: optionalText,
    uniqueId: optionalText,
    severity: optionalNumber,
    severityName: optionalText,
    isDeployed: optionalBoolean,
    isExpired: optionalBoolean,
    isSuperseded: optionalBoolean,
    datePosted: optionalText,
    informationUrl: optionalText,
  },
  configurationManagerScripts: {
    ...RECORD,
    scriptGuid: text,
    scriptVersion: optionalText,
    author: optionalText,
    /** waiting, denied, approved or unknown. */
    approvalState: text,
    approver: optionalText,
    comment: optionalText,
    hash: optionalText,
    hashAlgorithm: optionalText,
    parameters: optionalJson,
    lastUpdateTime: optionalText,
  },
  configurationManagerBoundaryGroups: {
    ...RECORD,
    description: optionalText,
    defaultSiteCode: optionalText,
    memberCount: optionalNumber,
    siteSystemCount: optionalNumber,
  },
} as const;

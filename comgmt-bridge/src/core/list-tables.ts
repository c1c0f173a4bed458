import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import { type ClassName, type KindTables, SYSTEM_KEYS, wmi } from "./site-table.ts";

function oneTable(
  kind: RecordKind,
  { of, keyNames }: { readonly of: ClassName; readonly keyNames: readonly string[] },
  facets: Readonly<Record<string, readonly string[]>>,
  isInRanges = false,
): KindTables {
  const content = { kind: "columns", facets } as const;
  const table = { id: of.name, of, keyNames, reading: "always", rowsPerKey: 1, content } as const;
  return { kind, spine: { ...table, isRequired: true }, others: [], isInRanges };
}

/** Kinds besides devices. */
export const OTHER_KINDS: readonly KindTables[] = [
  oneTable(
    "collection",
    { of: wmi("SMS_Collection"), keyNames: ["CollectionID"] },
    {
      identity: ["Name", "Comment", "CollectionType", "LimitToCollectionID", "IsBuiltIn"],
      stable: ["LimitToCollectionName", "RefreshType", "LastChangeTime", "ObjectPath"],
      volatile: ["MemberCount", "LastMemberChangeTime", "LastRefreshTime"],
    },
  ),
  oneTable(
    "user",
    { of: wmi("SMS_R_User"), keyNames: SYSTEM_KEYS },
    {
      identity: [
        ...["Name", "UserName", "FullUserName", "UniqueUserName", "UserPrincipalName", "Mail"],
        ...["WindowsNTDomain", "FullDomainName", "DistinguishedName", "SID"],
        ...["AADUserID", "AADTenantID", "CreationDate"],
      ],
      stable: [
        "SecurityGroupName",
        "UserGroupName",
        "UserOUName",
        "UserContainerName",
        "ResourceType",
      ],
    },
    true,
  ),
  oneTable(
    "application",
    // Its numeric key is that of a revision; the record's key is the GUID in ModelName.
    { of: wmi("SMS_Application"), keyNames: ["CI_ID"] },
    {
      identity: [
        ...["CI_ID", "CI_UniqueID", "ModelName", "LocalizedDisplayName", "Manufacturer"],
        "SoftwareVersion",
      ],
      stable: [
        ...["IsDeployed", "IsEnabled", "IsExpired", "IsSuperseded", "IsSuperseding", "IsLatest"],
        ...["NumberOfDeployments", "NumberOfDeploymentTypes", "DateCreated", "DateLastModified"],
        "LocalizedDescription",
      ],
    },
  ),
  oneTable(
    "deployment",
    { of: wmi("SMS_DeploymentInfo"), keyNames: ["DeploymentID"] },
    {
      identity: ["DeploymentName", "CollectionID", "CollectionName", "TargetName", "TargetID"],
      stable: [
        "DeploymentIntent",
        "FeatureType",
        "DeploymentTime",
        "DeploymentType",
        "TargetSecurityTypeID",
      ],
    },
  ),
  oneTable(
    "software-update",
    { of: wmi("SMS_SoftwareUpdate"), keyNames: ["CI_ID"] },
    {
      identity: ["ArticleID", "BulletinID", "CI_UniqueID", "LocalizedDisplayName"],
      stable: [
        ...["Severity", "SeverityName", "IsSuperseded", "IsExpired", "IsDeployed", "IsDigest"],
        ...["DatePosted", "DateRevised", "LocalizedInformativeURL"],
      ],
    },
    true,
  ),
  oneTable(
    "script",
    { of: wmi("SMS_Scripts"), keyNames: ["ScriptGuid"] },
    {
      identity: ["ScriptName", "ScriptVersion", "ScriptType", "Author"],
      stable: [
        ...["ApprovalState", "Approver", "Comment", "Feature", "ScriptHash"],
        ...["ScriptHashAlgorithm", "LastUpdateTime"],
      ],
    },
  ),
  oneTable(
    "boundary-group",
    { of: wmi("SMS_BoundaryGroup"), keyNames: ["GroupID"] },
    {
      identity: ["Name", "Description", "DefaultSiteCode"],
      stable: ["MemberCount", "SiteSystemCount"],
    },
  ),
];

/**
 * Who may do what. The table stands here and nowhere else: routes name a permission, accounts hold roles, and
 * `roles.test.ts` writes the whole table out a second time so that no edit slips through.
 */

export const ROLES = [
  "Global administrator",
  "Intune administrator",
  "Compliance administrator",
  "Helpdesk operator",
  "Reader",
] as const;
export type Role = (typeof ROLES)[number];

export const PERMISSIONS = [
  "connectors.read",
  /** Enrolment tokens, names, quarantine and disabling. */
  "connectors.manage",
  "configurations.read",
  "configurations.write",
  "devices.read",
  /** Adding, changing and removing a device. */
  "devices.write",
  /** Changing the compliance state of a device, and nothing else of it. */
  "devices.setCompliance",
  /** What sources tell: collections, inventory classes, timelines, software. Of devices themselves `devices.read` is enough. */
  "inventory.read",
  /** Whole lists in one file. */
  "inventory.export",
  "tunnel.read",
  "tunnel.write",
  "certificates.read",
  "certificates.revoke",
  /** Ordering keys and certificates that a connector makes for a device. */
  "certificates.issue",
  "pfx.read",
  /** Users' imported PFX files, and their delivery to devices. */
  "pfx.write",
  "challenges.read",
  "challenges.create",
  /** What was asked of sites and how devices fare, without what queries and scripts brought. */
  "actions.read",
  /** Client notifications, and reading devices anew. */
  "actions.notify",
  /** Scripts with their output, applications, custom properties. */
  "actions.run",
  /** Live queries with their rows. */
  "actions.query",
  /** Recovery keys of devices. */
  "actions.revealKey",
  "commands.read",
  /** Asking a connector for what changes nothing: a health report, a fresh revocation list. */
  "commands.create",
  "commands.cancel",
  "audit.read",
  "accounts.read",
  "accounts.manage",
] as const;
export type Permission = (typeof PERMISSIONS)[number];

const READ_OPERATIONS: readonly Permission[] = [
  "connectors.read",
  "configurations.read",
  "devices.read",
  "inventory.read",
  "tunnel.read",
  "certificates.read",
  "actions.read",
  "commands.read",
];

const GRANTS: Readonly<Record<Role, readonly Permission[]>> = {
  "Global administrator": PERMISSIONS,
  "Intune administrator": PERMISSIONS.filter((permission) => permission !== "accounts.manage"),
  "Compliance administrator": [
    ...READ_OPERATIONS,
    "devices.setCompliance",
    "inventory.export",
    "audit.read",
  ],
  "Helpdesk operator": [
    ...READ_OPERATIONS,
    "challenges.read",
    "challenges.create",
    "actions.notify",
    "actions.query",
    "actions.revealKey",
    "commands.create",
  ],
  Reader: READ_OPERATIONS,
};

/** Whether any of the roles grants the permission. */
export function isPermitted(roles: readonly Role[], permission: Permission): boolean {
  return roles.some((role) => GRANTS[role].includes(permission));
}

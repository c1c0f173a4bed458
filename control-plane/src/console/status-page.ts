import { healthSnapshot } from "@isthmus/shared/link/messages";
import type { Session } from "../core/admin-records.ts";
import type { ComparedValue, ListedRow } from "../core/list-query.ts";
import type { Records } from "../core/ports.ts";
import type { ResourceName } from "../core/resources.ts";
import { isPermitted, type Permission } from "../core/roles.ts";
import { state, text, time } from "./cells.ts";
import { type Html, html } from "./html.ts";
import { signedInPage } from "./page-frame.ts";

/** Rows of each table; the API has the rest. */
const ROWS = 20;

interface Column {
  readonly title: string;
  readonly cell: (row: ListedRow) => Html | string;
}

interface Section {
  readonly title: string;
  readonly resource: ResourceName;
  readonly permission: Permission;
  readonly order: string;
  readonly properties: readonly string[];
  readonly columns: readonly Column[];
  readonly whenEmpty: string;
}

const SECTIONS: readonly Section[] = [
  {
    title: "Connectors",
    resource: "connectors",
    permission: "connectors.read",
    order: "createdDateTime",
    properties: [
      "displayName",
      "service",
      "status",
      "lastSeenDateTime",
      "configurationVersion",
      "configurationVersionApplied",
      "configurationError",
      "quarantineReason",
      "health",
    ],
    columns: [
      { title: "Name", cell: (row) => text(row["displayName"]) },
      { title: "Service", cell: (row) => text(row["service"]) },
      { title: "Status", cell: (row) => html`${state(text(row["status"]))} ${quarantine(row)}` },
      { title: "Last seen", cell: (row) => time(row["lastSeenDateTime"]) },
      { title: "Configuration", cell: configuration },
      { title: "Health", cell: (row) => health(row["health"]) },
    ],
    whenEmpty: "No connector has enrolled yet. Make a token with control-plane token create.",
  },
  {
    title: "Devices",
    resource: "managedDevices",
    permission: "devices.read",
    order: "lastModifiedDateTime",
    properties: ["deviceName", "userPrincipalName", "complianceState", "complianceReason"],
    columns: [
      {
        title: "Device",
        cell: (row) =>
          html`<a href="/devices/${encodeURIComponent(text(row["id"]))}">${text(row["deviceName"]) || "without a name"}</a> <code>${text(row["id"])}</code>`,
      },
      { title: "User", cell: (row) => text(row["userPrincipalName"]) },
      { title: "Compliance", cell: (row) => state(text(row["complianceState"])) },
      { title: "Reason", cell: (row) => text(row["complianceReason"]) },
      { title: "Changed", cell: (row) => time(row["lastModifiedDateTime"]) },
    ],
    whenEmpty: "No device is known yet.",
  },
  {
    title: "Sources of inventory",
    resource: "configurationManagerSites",
    permission: "inventory.read",
    order: "lastEntryDateTime",
    properties: [
      "sourceType",
      "isRead",
      "leaseHolderDisplayName",
      "counts",
      "refusedRecords",
      "isOverQuota",
    ],
    columns: [
      {
        title: "Source",
        cell: (row) =>
          html`<a href="/sources/${encodeURIComponent(text(row["id"]))}">${text(row["id"])}</a> <small>${text(row["sourceType"])}</small>`,
      },
      { title: "Read by", cell: reader },
      { title: "Last news", cell: (row) => time(row["lastEntryDateTime"]) },
      { title: "Devices", cell: (row) => countOf(row["counts"], "device") },
      { title: "Users", cell: (row) => countOf(row["counts"], "user") },
      { title: "Refused", cell: (row) => text(row["refusedRecords"]) },
      {
        title: "Room",
        cell: (row) =>
          row["isOverQuota"] === 1 ? html`<span class="bad">over its limits</span>` : "yes",
      },
    ],
    whenEmpty: "No bridge has told of a site, a domain or inventory documents yet.",
  },
  {
    title: "Latest certificates",
    resource: "issuedCertificates",
    permission: "certificates.read",
    order: "issuedDateTime",
    properties: ["subject", "serialNumber", "managedDeviceId", "state", "notAfterDateTime"],
    columns: [
      { title: "Subject", cell: (row) => text(row["subject"]) },
      { title: "Serial number", cell: (row) => html`<code>${text(row["serialNumber"])}</code>` },
      { title: "Device", cell: (row) => text(row["managedDeviceId"]) },
      { title: "State", cell: (row) => state(text(row["state"])) },
      { title: "Issued", cell: (row) => time(row["issuedDateTime"]) },
      { title: "Ends", cell: (row) => time(row["notAfterDateTime"]) },
    ],
    whenEmpty: "No certificate has been issued yet.",
  },
  {
    title: "Latest commands",
    resource: "commands",
    permission: "commands.read",
    order: "createdDateTime",
    properties: ["kind", "connectorId", "state", "actor", "error"],
    columns: [
      { title: "Command", cell: (row) => html`<code>${text(row["kind"])}</code>` },
      { title: "Connector", cell: (row) => html`<code>${text(row["connectorId"])}</code>` },
      { title: "State", cell: (row) => state(text(row["state"])) },
      { title: "Asked by", cell: (row) => text(row["actor"]) },
      { title: "When", cell: (row) => time(row["createdDateTime"]) },
      { title: "Error", cell: (row) => fault(row["error"]) },
    ],
    whenEmpty: "No command has been given yet.",
  },
];

/** The page for whoever is signed in: each section that their roles let them read. */
export async function statusPage(records: Records, session: Session): Promise<Html> {
  const permitted = SECTIONS.filter(({ permission }) => isPermitted(session.roles, permission));
  const sections = await Promise.all(permitted.map((section) => renderSection(records, section)));
  return signedInPage({ title: "Status", place: "/", session }, html`${sections}`);
}

async function renderSection(records: Records, section: Section): Promise<Html> {
  const { resource, order, properties, columns, title } = section;
  const rows = await records.page(
    {
      resource,
      order: [
        { property: order, isDescending: true },
        { property: "id", isDescending: false },
      ],
      top: ROWS,
    },
    properties,
  );
  if (rows.length === 0) return html`<h2>${title}</h2><p class="quiet">${section.whenEmpty}</p>`;
  const body = rows
    .slice(0, ROWS)
    .map((row) => html`<tr>${columns.map((column, n) => cell(column, row, n))}</tr>`);
  return html`<h2 id="${resource}">${title}</h2>
    <div class="scroll" role="region" aria-labelledby="${resource}" tabindex="0"><table>
      <thead><tr>${columns.map((column) => html`<th scope="col">${column.title}</th>`)}</tr></thead>
      <tbody>${body}</tbody>
    </table></div>`;
}

function cell(column: Column, row: ListedRow, n: number): Html {
  const content = column.cell(row);
  return n === 0 ? html`<th scope="row">${content}</th>` : html`<td>${content}</td>`;
}

function configuration(row: ListedRow): Html {
  const [wanted, applied] = [row["configurationVersion"], row["configurationVersionApplied"]];
  const error = text(row["configurationError"]);
  if (error !== "") return html`<span class="bad">version ${text(wanted)}: ${error}</span>`;
  return wanted === applied
    ? html`version ${text(applied)}`
    : html`<span class="warn">version ${text(applied)} of ${text(wanted)}</span>`;
}

/** Who holds the lease, or that nobody does. */
function reader(row: ListedRow): Html | string {
  const name = text(row["leaseHolderDisplayName"]);
  if (row["isRead"] === 1) return name;
  return html`<span class="bad">nobody now</span> ${name === "" ? "" : html`<small>last: ${name}</small>`}`;
}

function countOf(counts: ComparedValue | undefined, kind: string): string {
  const parsed: unknown = typeof counts === "string" ? JSON.parse(counts) : {};
  const count = (parsed as Readonly<Record<string, unknown>>)[kind];
  return typeof count === "number" ? count.toLocaleString("en") : "0";
}

function quarantine(row: ListedRow): string {
  return text(row["quarantineReason"]);
}

/** What a command failed with, in words, and the rule where one refused it. */
function fault(stored: ComparedValue | undefined): Html | string {
  if (typeof stored !== "string" || stored === "") return "";
  const parsed = JSON.parse(stored) as Readonly<Record<string, unknown>> | null;
  const [message, rule] = [parsed?.["message"], parsed?.["rule"]];
  return html`${text(message)}${typeof rule === "string" ? html` <code>${rule}</code>` : undefined}`;
}

/** Healthy in a word, otherwise each check that is not, with what it says to do. */
function health(snapshot: ComparedValue | undefined): Html {
  if (typeof snapshot !== "string") return html`<span class="quiet">not reported</span>`;
  const parsed = healthSnapshot.safeParse(JSON.parse(snapshot));
  const troubled = parsed.data?.checks.filter(({ status }) => status !== "healthy") ?? [];
  if (troubled.length === 0) return state("healthy");
  return html`<ul>${troubled.map(
    ({ name, status, reason, remedy }) =>
      html`<li>${name} ${state(status)}: ${reason}${remedy && html`<br><small>To mend it: ${remedy}</small>`}</li>`,
  )}</ul>`;
}

import type { Clock } from "@isthmus/shared/clock";
import type { GssAcceptor } from "../adcs/gss-acceptor.ts";
import type { FaultRule } from "./faults.ts";

/** An administrator of the site, as role-based administration sees one. */
export interface Principal {
  /** `CORP\\operator`: written into CreatedBy, Author and Approver. */
  readonly name: string;
  /** Only devices of this collection are seen: 200 with fewer rows. All devices where it is absent. */
  readonly collection?: string;
  /** All of them where absent. */
  readonly rights?: readonly Right[];
}

export type Right =
  | ("read" | "modify" | "delete" | "notify" | "runScripts" | "approve" | "cmpivot")
  | "recoveryKeys";

/** What of OData the service understands beyond what public sources show; all off by default. */
export interface Capabilities {
  readonly skip?: boolean;
  readonly count?: boolean;
  readonly contains?: boolean;
  readonly ne?: boolean;
  /** Answers at most so many rows and an `@odata.nextLink` behind them. */
  readonly nextLinkRows?: number;
}

/** What keeps a provider slow. Over `maxInFlight` requests wait; over `requestsPerSecond` they are answered 429. */
export interface Limits {
  readonly maxInFlight?: number;
  readonly requestsPerSecond?: number;
  readonly rowsPerSecond?: number;
  readonly msPerPage?: number;
}

/** How the fleet lives by itself, from the clock alone; nothing moves where a period is absent. */
export interface NaturalChange {
  readonly heartbeatEveryMs?: number;
  readonly inventoryEveryMs?: number;
}

/** Changes at a steady rate, drawn from the seed. */
export interface ChangeScript {
  readonly changesPerSecond: number;
  /** Weights of the kinds; those that are absent do not happen. */
  readonly weights: Readonly<
    Partial<Record<"heartbeat" | "inventory" | "rename" | "add" | "remove" | "online", number>>
  >;
  readonly seed?: number;
}

/** How devices carry out what the site asks. Shares are of 1; times are since the request. */
export interface DeviceBehaviour {
  readonly answerMinMs?: number;
  readonly answerMaxMs?: number;
  readonly failingShare?: number;
  /** A device that is offline answers so long after the request; never by itself where absent. */
  readonly offlineAnswersAfterMs?: number;
  /** An operation that a device did not begin by then never runs there. */
  readonly operationExpiresMs?: number;
}

export interface SiteOptions {
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** Any free one by default. */
  readonly port?: number;
  readonly siteCode?: string;
  /** What the provider's own certificate is for, besides localhost and 127.0.0.1. */
  readonly providerFqdn?: string;
  readonly seed?: number;
  readonly devices?: number;
  readonly users?: number;
  readonly applications?: number;
  readonly updates?: number;
  readonly programsPerDevice?: number;
  /** Share of devices with a connection to the management point. */
  readonly onlineShare?: number;
  readonly clock?: Clock;
  /** When the fleet was last heard of: dates of devices lie before it. The clock's time at the start by default. */
  readonly since?: number;
  readonly natural?: NaturalChange;
  readonly changes?: ChangeScript;
  readonly behaviour?: DeviceBehaviour;
  readonly limits?: Limits;
  readonly capabilities?: Capabilities;
  readonly faults?: readonly FaultRule[];
  /** Bearer tokens of /AdminService_TokenAuth/. */
  readonly tokens?: Readonly<Record<string, Principal>>;
  /** Who /AdminService/ lets in: holders of a ticket, everybody as one principal, or (by default) nobody. */
  readonly negotiate?: GssAcceptor | Principal;
  /** The principals of tickets by Kerberos name; `CORP\\name` with all rights where absent. */
  readonly principals?: Readonly<Record<string, Principal>>;
  /** The hierarchy's setting "script authors require additional script approver"; true by default. */
  readonly isTwoKeyApproval?: boolean;
  /** Whether there is `Device(id)/Events`; releases before 2002 have none. True by default. */
  readonly hasDeviceEvents?: boolean;
  /** What SMS_R_System calls its key; the inventory classes always say ResourceID. */
  readonly systemKeyName?: "ResourceId" | "ResourceID";
  /** ScriptOutput: JSON-escaped without the quotes around it, or a whole JSON text. */
  readonly scriptOutput?: "escaped" | "quoted";
  readonly scripts?: readonly SeedScript[];
}

/** A script that is there from the start. */
export interface SeedScript {
  readonly guid: string;
  readonly name: string;
  readonly text: string;
  readonly author?: string;
  readonly isApproved?: boolean;
  readonly parameters?: readonly { readonly name: string; readonly isRequired?: boolean }[];
  /** What devices print; `{name}` and `{parameters}` are filled in. */
  readonly output?: string;
}

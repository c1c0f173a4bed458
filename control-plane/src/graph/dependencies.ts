import type { Clock } from "@isthmus/shared/clock";
import type { Random } from "@isthmus/shared/random";
import type { InventoryReads } from "../core/inventory-reads.ts";
import type { Passwords } from "../core/password.ts";
import type { LinkControl, Records, Signer, UnsignedCommands } from "../core/ports.ts";
import type { SignIn } from "../core/sign-in.ts";
import type { SiteActionReads } from "../core/site-action-records.ts";
import type { ActionFollowers } from "./action-followers.ts";
import type { Listing } from "./listing.ts";

/** What the API is built from. */
export interface ApiDependencies {
  readonly records: Records;
  readonly listing: Listing;
  readonly inventory: InventoryReads;
  readonly signer: Signer;
  readonly signIn: SignIn;
  readonly passwords: Passwords;
  readonly unsigned: UnsignedCommands;
  readonly link: LinkControl;
  readonly actionFollowers: ActionFollowers;
  readonly siteActions: SiteActionReads;
  readonly clock: Clock;
  readonly random: Random;
  /** The text of an enrolment token with this secret: where to connect to and which keys to trust. */
  enrolmentTokenText(secret: string): Promise<string>;
}

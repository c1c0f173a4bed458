import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "@isthmus/shared/clock";
import {
  type ConnectorLink,
  type LinkOptions,
  startLink,
} from "@isthmus/shared/link/connector-link";
import { enrol } from "@isthmus/shared/link/enrol";
import type { LinkEvent, LinkHooks } from "@isthmus/shared/link/link-hooks";
import type {
  EnrolmentAnswer,
  Service,
  SignedAuditHead,
  SignedCommand,
  SignedConfiguration,
} from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { openStore, type Store } from "@isthmus/shared/store/store";
import type { operations } from "./connector-store.ts";
import type { ControlPlaneEnd } from "./control-plane-end.ts";
import { silentLog } from "./silent-log.ts";

/** Who a connector is, as its state folder would hold it. */
export interface Enrolled {
  readonly service: Service;
  readonly privateKey: KeyObject;
  readonly answer: EnrolmentAnswer;
}

/** Enrols a connector: with a fresh token and a fresh key unless others are given. */
export async function enrolConnector(
  cloud: ControlPlaneEnd,
  service: Service = "cert-connector",
  of: { readonly token?: string; readonly privateKey?: KeyObject } = {},
): Promise<Enrolled> {
  const { privateKey = generateKeyPairSync("ed25519").privateKey } = of;
  const token = of.token ?? (await cloud.token(service));
  const answer = await enrol({ token, service, displayName: "test", privateKey });
  return { service, privateKey, answer };
}

export type ConnectorStore = Store<typeof operations>;

export function openConnectorStore(folder: string): Promise<ConnectorStore> {
  return openStore<typeof operations>({
    file: join(folder, "connector.db"),
    module: new URL("./connector-store.ts", import.meta.url),
  });
}

/** What a connector was told and did. */
export class Recorder {
  readonly ran: SignedCommand[] = [];
  readonly events: LinkEvent[] = [];
  readonly receipts: SignedAuditHead[] = [];
  readonly configurations: SignedConfiguration[] = [];
  configurationVersion = 0;
  head: { index: number; hash: string } | undefined;

  has(event: LinkEvent["event"]): boolean {
    return this.events.some((each) => each.event === event);
  }
}

export interface ConnectorEnd extends AsyncDisposable {
  readonly link: ConnectorLink;
  readonly store: ConnectorStore;
  readonly record: Recorder;
  readonly connectorId: string;
}

/** A connector with nothing but the link. `hooks` takes the place of what records. */
export async function startConnector(of: {
  readonly enrolled: Enrolled;
  readonly store: ConnectorStore;
  readonly hooks?: Partial<LinkHooks>;
  readonly options?: Partial<LinkOptions>;
}): Promise<ConnectorEnd> {
  const { answer, privateKey, service } = of.enrolled;
  const { connectorId } = answer;
  const record = new Recorder();
  const link = startLink({
    identity: { connectorId, service, privateKey },
    url: answer.linkUrl,
    ca: answer.caPem,
    store: of.store,
    tenantKeys: () => [answer.tenantKey],
    hooks: { ...recording(record, service), ...of.hooks },
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    ...of.options,
  });
  return {
    link,
    store: of.store,
    record,
    connectorId,
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

function recording(record: Recorder, service: Service): LinkHooks {
  return {
    judge: async () => "run",
    run: async (command) => {
      record.ran.push(command);
      return { done: command.id };
    },
    reconcile: async () => "unknown",
    configurationVersion: () => record.configurationVersion,
    onConfiguration: async (configuration) => {
      record.configurations.push(configuration);
      record.configurationVersion = configuration.version;
    },
    onTrust: async () => {},
    onCountersigned: async (head) => {
      record.receipts.push(head);
    },
    auditHead: async () => record.head,
    health: async () => ({ service, version: "0.1.0", startedAt: 0, checks: [], figures: {} }),
    onEvent: (event) => {
      record.events.push(event);
    },
  };
}

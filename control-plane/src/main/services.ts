import { once } from "node:events";
import type { Server } from "node:https";
import { LINK_PATH } from "@isthmus/shared/link/messages";
import express from "express";
import { LinkEndpoint } from "../connector/link-endpoint.ts";
import { consoleRouter } from "../console/console.ts";
import { SignIn } from "../core/sign-in.ts";
import { signQueued } from "../core/sign-queued.ts";
import { ActionFollowers } from "../graph/action-followers.ts";
import { apiRouter } from "../graph/api.ts";
import { LocalApi } from "../graph/local-api.ts";
import { sendStream } from "../graph/send-stream.ts";
import type { SignerClient } from "../signer/signer-client.ts";
import type { ControlPlaneStore, StoreRecords } from "../store/records.ts";
import { StoredSiteActions } from "../store/site-action-reads.ts";
import { StoredInventory } from "../store/stored-inventory.ts";
import type { ControlPlaneSettings } from "./control-plane.ts";
import { Loop } from "./loop.ts";
import type { ServerIdentity } from "./server-identity.ts";
import { skipTokenKey } from "./skip-token-key.ts";

/** Our own limits on who connects. Connectors hold one connection each. */
const MAX_CONNECTIONS = 20_000;
export const SERVER_LIMITS = {
  minVersion: "TLSv1.2",
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
} as const;
/** A look at what waits unsigned, should a nudge have been lost with a crash. */
const SIGNING_INTERVAL_MS = 1_000;

export interface ServiceParts extends ControlPlaneSettings {
  readonly store: ControlPlaneStore;
  readonly records: StoreRecords;
  readonly signer: SignerClient;
  readonly identity: ServerIdentity;
  readonly publicUrl: string;
  readonly tokenText: (secret: string) => Promise<string>;
}

/** Puts the link, the API and the status page on one server, and starts the signing of what is queued. */
export function attachServices(
  server: Server,
  parts: ServiceParts,
  resources: AsyncDisposableStack,
): LinkEndpoint {
  const { records, signer, clock, random, log, publicUrl, passwords } = parts;
  const unsigned = { nudge: () => signing.nudge() };
  const actionFollowers = new ActionFollowers();
  const link = resources.use(linkEndpoint(parts, unsigned, actionFollowers));
  const signing = resources.use(
    new Loop({
      round: async () => {
        const { isMore, refused } = await signQueued({ records, signer, wakeUp: link, clock });
        for (const { id, code } of refused) log.warn({ commandId: id, code }, "command.not-signed");
        return isMore;
      },
      intervalMs: SIGNING_INTERVAL_MS,
      onError: (error) => log.warn({ err: error }, "signing.delayed"),
    }),
  );
  const signIn = new SignIn({ records, passwords, clock, random });
  const listing = {
    records,
    publicUrl,
    skipTokenKey: skipTokenKey(parts.configuration.stateFolder, random),
  };
  const api = {
    ...{ records, listing, signer, signIn, passwords, unsigned, link, clock, random },
    actionFollowers,
    siteActions: new StoredSiteActions(parts.store),
    inventory: new StoredInventory(parts.store),
    enrolmentTokenText: parts.tokenText,
  };
  const app = express();
  app.disable("x-powered-by");
  app.set("query parser", false);
  app.use(apiRouter(api, log));
  app.use(consoleRouter({ records, signIn, api: new LocalApi(api, log), log, sendStream }));
  server.maxConnections = MAX_CONNECTIONS;
  link.attach(server);
  server.on("request", (request, response) => {
    if (!link.handle(request, response)) app(request, response);
  });
  return link;
}

function linkEndpoint(
  { store, signer, clock, random, log, identity, publicUrl }: ServiceParts,
  unsignedCommands: { nudge(): void },
  actionNews: ActionFollowers,
): LinkEndpoint {
  return new LinkEndpoint({
    ...{ store, signer, unsignedCommands, actionNews, clock, random, log },
    names: [...identity.names, new URL(publicUrl).hostname],
    linkUrl: `${publicUrl.replace(/^https:/, "wss:")}${LINK_PATH}`,
    caPem: identity.caPem,
  });
}

export async function closeServer(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

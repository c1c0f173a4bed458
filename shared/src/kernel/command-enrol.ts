import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { text } from "node:stream/consumers";
import { z } from "zod";
import { systemClock } from "../clock.ts";
import { ConnectorError } from "../errors.ts";
import { enrol } from "../link/enrol.ts";
import { thumbprintOf } from "../link/jws.ts";
import type { PublicKey } from "../link/messages.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/store.ts";
import type { Operations } from "../store/transaction.ts";
import type { StorePlace } from "../store/worker-messages.ts";
import { type CliCall, type CliCommand, type CliLeaf, UsageError } from "./command.ts";
import { checkConfiguration } from "./configuration.ts";
import type { ConnectorOperations } from "./connector-operations.ts";
import { cloudAccess } from "./connector-source.ts";
import { enrolmentKey, loadIdentity, storeIdentity } from "./identity.ts";
import { CONFIG_OPTION, loadLocalConfiguration } from "./local-configuration.ts";
import type { ServiceDefinition } from "./service-definition.ts";
import { holdStateFolder, stateFolderAt } from "./state-folder.ts";
import { storePlaceOf } from "./store-place.ts";
import { type PinnedKey, Trust } from "./trust.ts";

const MAX_TOKEN_BYTES = 65_536;
const TOKEN_OPTIONS = {
  token: {
    type: "string",
    valueName: "TOKEN",
    summary: "the token itself; other users of this host can see it in the process list",
  },
  "token-file": {
    type: "string",
    valueName: "PATH",
    summary: "file that holds the token, - for standard input",
  },
} as const;

/** `enrol`: makes a key, registers it with a one-time token, and pins the tenant key that the token names. */
export function enrolCommand<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
): CliLeaf {
  const { service } = definition;
  return {
    name: "enrol",
    summary: "register this connector at a control plane with a one-time token",
    options: {
      config: CONFIG_OPTION,
      ...TOKEN_OPTIONS,
      name: {
        type: "string",
        valueName: "NAME",
        summary: "what the control plane shows it as; default is this host's name",
      },
      replace: { type: "boolean", summary: "give up the identity that is there already" },
    },
    async run(call) {
      const local = loadLocalConfiguration(definition, call.required("config"));
      const token = await readToken(call);
      const folder = stateFolderAt(local.stateFolder);
      using _held = holdStateFolder(folder);
      const before = loadIdentity(folder, service);
      if (before !== undefined && !call.flag("replace")) {
        throw new ConnectorError(
          "already-enrolled",
          `this connector is enrolled as ${before.connectorId}: give --replace to enrol it anew`,
        );
      }
      const { ca, proxy } = cloudAccess(local.cloud, undefined);
      const displayName = call.text("name") ?? hostname();
      const privateKey = enrolmentKey(folder);
      const answer = await enrol({ token, service, displayName, privateKey, ca, proxy });
      const now = systemClock.now();
      Trust.load(folder.trustFile, systemClock).pin(answer.tenantKey, "enrolment");
      await storeIdentity(folder, { service, answer, enrolledAt: now });
      await withStore(definition, storePlaceOf(definition, local), async (store) => {
        if (before !== undefined) await store.run("raiseEpoch", { now });
        const { connectorId } = answer;
        const payload = { connectorId, tenantKey: thumbprintOf(answer.tenantKey) };
        await store.run("recordAudit", { at: now, event: "connector.enrolled", payload });
      });
      return {
        text: `Enrolled as ${answer.connectorId} at ${answer.linkUrl}.`,
        value: { connectorId: answer.connectorId, linkUrl: answer.linkUrl },
      };
    },
  };
}

async function readToken(call: CliCall): Promise<string> {
  const token = call.text("token");
  const file = call.text("token-file");
  if ((token === undefined) === (file === undefined)) {
    throw new UsageError("enrol needs either --token or --token-file");
  }
  if (file === undefined) return token ?? "";
  const content = file === "-" ? await text(process.stdin) : readText(file);
  if (content.length <= MAX_TOKEN_BYTES) return content;
  throw new ConnectorError("enrolment-token", `token exceeds ${MAX_TOKEN_BYTES} bytes`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new ConnectorError("file-unreadable", `${file} cannot be read`, { cause });
  }
}

async function withStore<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
  place: StorePlace,
  step: (store: Store<ConnectorOperations>) => Promise<void>,
): Promise<void> {
  await using store = await openStore<ConnectorOperations>({
    ...place,
    module: definition.storeModule,
  });
  await step(store);
}

/** `trust list` and `trust pin`: the tenant keys that this connector believes. */
export function trustCommand<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
): CliCommand {
  const placesOf = (call: CliCall) => {
    const local = loadLocalConfiguration(definition, call.required("config"));
    return { folder: stateFolderAt(local.stateFolder), place: storePlaceOf(definition, local) };
  };
  return {
    name: "trust",
    summary: "show or change the tenant key that this connector believes",
    commands: [
      {
        name: "list",
        summary: "list every tenant key that was ever pinned",
        options: { config: CONFIG_OPTION },
        async run(call) {
          const keys = Trust.load(placesOf(call).folder.trustFile, systemClock).list();
          const text =
            keys.length === 0 ? "No tenant key is pinned." : keys.map(keyLine).join("\n");
          return { text, value: { keys: keys.map(keyValue) } };
        },
      },
      {
        name: "pin",
        summary: "pin a tenant key in place of all others; the service has to be stopped",
        options: { config: CONFIG_OPTION },
        positionals: [{ name: "key-file", summary: "the public key as JWK (JSON)" }],
        async run(call) {
          const { folder, place } = placesOf(call);
          const key = readPublicKey(call.positionals[0] ?? "");
          using _held = holdStateFolder(folder);
          const now = systemClock.now();
          await withStore(definition, place, async (store) => {
            await store.run("raiseEpoch", { now });
            const payload = { tenantKey: thumbprintOf(key) };
            await store.run("recordAudit", { at: now, event: "trust.pinned-locally", payload });
          });
          Trust.load(folder.trustFile, systemClock).pin(key, "local");
          const thumbprint = thumbprintOf(key);
          return { text: `Pinned ${thumbprint}; no other key counts.`, value: { thumbprint } };
        },
      },
    ],
  };
}

const publicKeyFile = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});

function readPublicKey(file: string): PublicKey {
  let input: unknown;
  try {
    input = JSON.parse(readText(file));
  } catch (cause) {
    if (cause instanceof ConnectorError) throw cause;
    throw new ConnectorError("key-unreadable", `${file} is not JSON`, { cause });
  }
  return checkConfiguration(publicKeyFile, input, file);
}

function keyLine(key: PinnedKey): string {
  const until =
    key.retiredAt === undefined ? "in force" : `retired ${new Date(key.retiredAt).toISOString()}`;
  const since = new Date(key.pinnedAt).toISOString();
  return `${thumbprintOf(key.publicKey)}  ${key.origin} ${since}  ${until}`;
}

function keyValue(key: PinnedKey) {
  return { thumbprint: thumbprintOf(key.publicKey), ...key };
}

import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { readStandalone } from "@isthmus/shared/kernel/standalone-file";
import { makeStateFolder } from "@isthmus/shared/kernel/state-files";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { signJws } from "@isthmus/shared/link/jws";
import { commandPayloads, JWS_TYPES } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import type { ChallengePayload } from "../cloud/signed-challenge.ts";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import type { AltNameType } from "../core/profile.ts";
import { variableNamed } from "../core/variables.ts";
import { localChallengeKey } from "./challenge-key.ts";
import { loadLocal } from "./load-local.ts";
import type { PendingSummary } from "./pending-requests.ts";

const MINUTE_MS = 60_000;
const CHALLENGE_ID_OCTETS = 16;
const ALT_NAME_TYPES: readonly string[] = ["uri", "dns", "email", "upn"];

const challenge: CliCommand = {
  name: "challenge",
  summary: "standalone: sign a one-time challenge for one device",
  options: {
    config: CONFIG_OPTION,
    profile: {
      type: "string",
      valueName: "ID",
      summary: "the profile it is for",
      isRequired: true,
    },
    device: { type: "string", valueName: "ID", summary: "the device's id", isRequired: true },
    upn: { type: "string", valueName: "NAME", summary: "the user principal name" },
    subject: {
      type: "string",
      valueName: "NAME",
      summary: "the subject as in RFC 4514; CN=<device> where it is not given",
    },
    san: {
      type: "string",
      valueName: "TYPE:VALUE",
      summary: "a further name: uri, dns, email or upn; may be repeated",
      isRepeatable: true,
    },
    attribute: {
      type: "string",
      valueName: "NAME=VALUE",
      summary:
        "a further variable of the profile's templates, e.g. SerialNumber=5CG1; may be repeated",
      isRepeatable: true,
    },
    minutes: { type: "string", valueName: "N", summary: "how long it is valid", default: "60" },
  },
  run: async (call) => {
    const local = loadLocal(call.required("config"));
    if (local.standalone === undefined) {
      throw new ConnectorError(
        "not-standalone",
        "this connector has a control plane, which signs its challenges",
      );
    }
    const profileId = call.required("profile");
    requireProfile(profileId, local.standalone.desiredConfigurationFile);
    makeStateFolder(local.stateFolder);
    const device = call.required("device");
    const now = systemClock.now();
    const userPrincipalName = call.text("upn");
    const payload: ChallengePayload = {
      jti: systemRandom.bytes(CHALLENGE_ID_OCTETS).toString("hex"),
      aud: "any",
      profileId,
      deviceId: device,
      ...(userPrincipalName !== undefined && { userPrincipalName }),
      subject: call.text("subject") ?? `CN=${device}`,
      subjectAltNames: call.list("san").map(altName),
      attributes: attributesIn(call.list("attribute")),
      iat: now,
      exp: now + minutes(call.required("minutes")) * MINUTE_MS,
    };
    const key = localChallengeKey(local.stateFolder);
    const jws = await signJws(payload, JWS_TYPES.challenge, key);
    return { text: jws, value: { challenge: jws, ...payload } };
  },
};

/** A challenge for a profile that is not there would be refused only at the device. Nothing is known of a broken file. */
function requireProfile(id: string, file: string): void {
  const known = profilesOf(file);
  if (known === undefined || known.includes(id)) return;
  const there = known.length === 0 ? "there is none" : `there are: ${known.join(", ")}`;
  throw new ConnectorError("profile-unknown", `${file} has no profile "${id}"; ${there}`);
}

function profilesOf(file: string): string[] | undefined {
  try {
    const { configuration } = readStandalone(file);
    return desiredConfiguration.parse(configuration).profiles.map((profile) => profile.id);
  } catch {
    return undefined;
  }
}

export function altName(text: string): ChallengePayload["subjectAltNames"][number] {
  const [type = "", ...rest] = text.split(":");
  if (!ALT_NAME_TYPES.includes(type) || rest.length === 0) {
    throw new UsageError(`--san ${text}: expected uri:, dns:, email: or upn: and a value`);
  }
  return { type: type as AltNameType, value: rest.join(":") };
}

function attributesIn(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text) => {
    const [, name, value] = /^([A-Za-z_]{1,64})=(.{1,256})$/.exec(text) ?? [];
    if (name === undefined || value === undefined || variableNamed(name) === undefined) {
      throw new UsageError(`--attribute ${text}: expected a variable's name, = and a value`);
    }
    return [name, value] as const;
  });
  return Object.fromEntries(pairs);
}

function minutes(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new UsageError(`--minutes ${text}: expected a whole number above 0`);
}

const revoke: CliCommand = {
  name: "revoke",
  summary: "revoke a certificate at the running service; its list is renewed at once",
  options: {
    config: CONFIG_OPTION,
    serial: { type: "string", valueName: "HEX", summary: "the serial number", isRequired: true },
    reason: {
      type: "string",
      summary: "as in RFC 5280 section 5.3.1",
      values: commandPayloads["certificate.revoke"].shape.reason.options,
      default: "unspecified",
    },
  },
  run: async (call) => {
    const serialNumber = call.required("serial").toLowerCase().replaceAll(":", "");
    if (!commandPayloads["certificate.revoke"].shape.serialNumber.safeParse(serialNumber).success) {
      throw new UsageError(`--serial ${serialNumber}: expected up to 40 hexadecimal digits`);
    }
    const reason = call.required("reason");
    const config = call.required("config");
    const value = await ask(config, "certificate.revoke", { serialNumber, reason });
    return { text: `${serialNumber} is revoked`, value };
  },
};

const listRequests: CliCommand = {
  name: "list",
  summary: "show the requests that wait for approval",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const waiting = (await ask(call.required("config"), "request.list", {})) as PendingSummary[];
    const lines = waiting.map(
      ({ id, profileId, deviceId, subject, requestedAt }) =>
        `${id}  ${new Date(requestedAt).toISOString()}  ${profileId}  ${deviceId ?? "-"}  ${subject}`,
    );
    return { text: lines.join("\n") || "no request waits", value: waiting };
  },
};

function decision(name: "approve" | "reject", summary: string): CliCommand {
  return {
    name,
    summary,
    options: { config: CONFIG_OPTION },
    positionals: [{ name: "id", summary: "as `request list` shows it" }],
    run: async (call) => {
      const pendingId = Number(call.positionals[0]);
      const value = await ask(call.required("config"), `request.${name}`, { pendingId });
      return { text: `request ${pendingId}: ${(value as { state: string }).state}`, value };
    },
  };
}

const request: CliCommand = {
  name: "request",
  summary: "requests of profiles that want a person's approval",
  commands: [
    listRequests,
    decision("approve", "issue it; the device gets it at its next poll"),
    decision("reject", "refuse it for good"),
  ],
};

export const serviceCommands: readonly CliCommand[] = [challenge, revoke, request];

export async function ask(configFile: string, method: string, argument: unknown): Promise<unknown> {
  const { controlSocket } = stateFolderAt(loadLocal(configFile).stateFolder);
  const answer = await askRunningService(controlSocket, method, argument);
  if (answer !== undefined) return answer.result;
  throw new ConnectorError("not-running", "the service is not running; start it first");
}

import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { readStandalone } from "@isthmus/shared/kernel/standalone-file";
import { makeStateFolder } from "@isthmus/shared/kernel/state-files";
import { signJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { type ChallengePayload, MAX_LIFETIME_MS } from "../cloud/signed-challenge.ts";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import { variableNamed } from "../core/variables.ts";
import { localChallengeKey } from "./challenge-key.ts";
import { loadLocal } from "./load-local.ts";
import { NAME_OPTIONS, namesIn } from "./name-options.ts";

const MINUTE_MS = 60_000;
const CHALLENGE_ID_OCTETS = 16;

/** For hosts without a control plane: it has the same effect as the challenge that a control plane signs. */
export const challengeCommand: CliCommand = {
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
    ...NAME_OPTIONS,
    attribute: {
      type: "string",
      valueName: "NAME=VALUE",
      summary:
        "a further variable of the profile's templates, e.g. SerialNumber=5CG1; may be repeated",
      isRepeatable: true,
    },
    minutes: {
      type: "string",
      valueName: "N",
      summary: "how long it is valid, 7 days at most",
      default: "60",
    },
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
    const now = systemClock.now();
    const payload: ChallengePayload = {
      jti: systemRandom.bytes(CHALLENGE_ID_OCTETS).toString("hex"),
      aud: "any",
      profileId,
      deviceId: call.required("device"),
      ...namesIn(call),
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
  const most = MAX_LIFETIME_MS / MINUTE_MS;
  if (Number.isInteger(number) && number > 0 && number <= most) return number;
  throw new UsageError(`--minutes ${text}: expected a whole number from 1 to ${most}`);
}

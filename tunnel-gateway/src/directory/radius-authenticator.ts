import { randomBytes, randomInt } from "node:crypto";
import { codeOf } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { AuthenticationStep, Authenticator, LoginContext } from "../core/authenticator.ts";
import {
  type AccessAnswer,
  type AccessRequest,
  decodeAccessAnswer,
  encodeAccessRequest,
} from "../protocol/radius-packet.ts";
import {
  askForCredentials,
  type Credentials,
  failed,
  isUserName,
  readCredentials,
  wrongCredentials,
} from "./credentials-form.ts";
import { exchange, type RadiusServer } from "./radius-exchange.ts";
import { WorkLimit } from "./work-limit.ts";

/** As the local configuration has them. */
export interface RadiusOptions {
  readonly servers: readonly RadiusServer[];
  readonly secretFile: string;
  readonly nasIdentifier: string;
  readonly timeoutSeconds: number;
  readonly retries: number;
  readonly requireMessageAuthenticator: boolean;
}

/** What a challenge has to be answered with, to the server that made it: no other knows it. */
interface Challenge {
  readonly userName: string;
  readonly state: Buffer | undefined;
  readonly server: RadiusServer;
  readonly round: number;
}

/** Own limits: what a server has to say to a user, its challenges in a row, and logins at once and waiting. */
const MAX_MESSAGE_CHARACTERS = 500;
const MAX_CHALLENGES = 8;
const WORK = { underWay: 64, waiting: 256 };
const SECOND_MS = 1_000;

/** A RADIUS server by PAP (RFC 2865), with the challenges that it likes to make. */
export function radiusAuthenticator(name: string, options: RadiusOptions): Authenticator {
  const work = new WorkLimit(WORK);
  const ask = async (
    credentials: Credentials,
    challenge: Challenge | undefined,
    context: LoginContext,
    signal: AbortSignal,
  ): Promise<AuthenticationStep> => {
    const asked = { ...credentials, challenge, remoteAddress: context.remoteAddress };
    try {
      const answered = await work.run(() => request(options, asked, signal), signal);
      return stepOf(name, credentials, challenge, answered);
    } catch (error) {
      return codeOf(error) === "radius-value" ? wrongCredentials(name) : failed(name, signal);
    }
  };
  return {
    name,
    async begin(context) {
      return askForCredentials(context, "Enter your user name and password.");
    },
    async answer(state, answers, context, signal) {
      const challenge = state as Challenge | null;
      if (challenge !== null) {
        const { userName } = challenge;
        const password = answers.get("response") ?? "";
        return await ask({ userName, password }, challenge, context, signal);
      }
      const credentials = readCredentials(answers, context);
      return credentials
        ? await ask(credentials, undefined, context, signal)
        : wrongCredentials(name);
    },
    async check(signal) {
      // Nobody's password: any genuine answer shows that the server is there and shares our secret.
      const password = randomBytes(12).toString("hex");
      const probe = { userName: "isthmus-check", password, remoteAddress: "127.0.0.1" };
      await request(options, { ...probe, challenge: undefined }, signal);
    },
  };
}

interface Answered {
  readonly answer: AccessAnswer;
  readonly server: RadiusServer;
}

function stepOf(
  name: string,
  credentials: Credentials,
  challenge: Challenge | undefined,
  { answer, server }: Answered,
): AuthenticationStep {
  const { userName } = credentials;
  switch (answer.kind) {
    case "accept":
      return {
        kind: "accepted",
        user: { userName: nameOf(answer) ?? userName, groups: answer.groups.flatMap(groupsOf) },
      };
    case "reject":
      return wrongCredentials(name);
    case "challenge": {
      const round = (challenge?.round ?? 0) + 1;
      if (round > MAX_CHALLENGES) return wrongCredentials(name);
      const text = answer.replyMessage.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
      const message = text.slice(0, MAX_MESSAGE_CHARACTERS) || "Enter the response.";
      const fields = [{ name: "response", label: "Response:", kind: "password" }] as const;
      const state: Challenge = { userName, state: answer.state, server, round };
      return { kind: "ask", message, fields, state };
    }
  }
}

/** RFC 2865 section 5.1: the server's way to write the name goes before what the user typed. */
function nameOf({ userName }: AccessAnswer): string | undefined {
  return userName !== undefined && isUserName(userName) ? userName : undefined;
}

/** ocserv and Cisco name groups in Class as `OU=group;`, others as they are. */
function groupsOf(text: string): string[] {
  const units = [...text.matchAll(/OU=([^;]+)/gi)].flatMap((match) => match[1] ?? []);
  return units.length > 0 ? units : [text];
}

interface Asked extends Credentials {
  readonly challenge: Challenge | undefined;
  readonly remoteAddress: string;
}

/** Asks server after server. @throws ConnectorError `radius-unreachable` of the last, `radius-value` */
async function request(
  options: RadiusOptions,
  asked: Asked,
  signal: AbortSignal,
): Promise<Answered> {
  const { timeoutSeconds, retries, requireMessageAuthenticator } = options;
  const secret = readSecretFile(options.secretFile);
  let last: unknown;
  for (const server of asked.challenge ? [asked.challenge.server] : options.servers) {
    const packet = packetOf(options, asked);
    const bytes = encodeAccessRequest(packet, secret);
    const read = (answer: Buffer) =>
      decodeAccessAnswer(answer, packet, secret, requireMessageAuthenticator);
    const of = { bytes, read, timeoutMs: timeoutSeconds * SECOND_MS, retries };
    try {
      return { answer: await exchange(server, of, signal), server };
    } catch (error) {
      signal.throwIfAborted();
      last = error;
    }
  }
  throw last;
}

function packetOf({ nasIdentifier }: RadiusOptions, asked: Asked): AccessRequest {
  return {
    identifier: randomInt(256),
    authenticator: randomBytes(16),
    userName: asked.userName,
    password: asked.password,
    nasIdentifier,
    callingStationId: asked.remoteAddress,
    state: asked.challenge?.state,
  };
}

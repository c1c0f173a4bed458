import { randomBytes, randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
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
  readCredentials,
  unreachable,
  wrongCredentials,
} from "./credentials-form.ts";

/** As the local configuration has them. */
export interface RadiusOptions {
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  readonly secretFile: string;
  readonly nasIdentifier: string;
  readonly timeoutSeconds: number;
  readonly retries: number;
  readonly requireMessageAuthenticator: boolean;
}

/** What a challenge has to be answered with. */
interface ChallengeState {
  readonly userName: string;
  readonly state: Buffer | undefined;
}

/** Own limits: what a server has to say to a user, and datagrams looked at for one request. */
const MAX_MESSAGE_CHARACTERS = 500;
const MAX_DATAGRAMS = 100;
const SECOND_MS = 1_000;

/** A RADIUS server by PAP (RFC 2865), with as many challenges as it likes to make. */
export function radiusAuthenticator(name: string, options: RadiusOptions): Authenticator {
  const ask = async (
    credentials: Credentials,
    state: Buffer | undefined,
    context: LoginContext,
    signal: AbortSignal,
  ): Promise<AuthenticationStep> => {
    let answer: AccessAnswer;
    try {
      answer = await request(options, { ...credentials, state, context }, signal);
    } catch (error) {
      return codeOf(error) === "radius-value" ? wrongCredentials(name) : unreachable(name);
    }
    return stepOf(name, credentials, answer);
  };
  return {
    name,
    async begin(context) {
      return askForCredentials(context, "Enter your user name and password.");
    },
    async answer(state, answers, context, signal) {
      const challenge = state as ChallengeState | null;
      if (challenge === null) {
        const credentials = readCredentials(answers, context);
        return credentials
          ? await ask(credentials, undefined, context, signal)
          : wrongCredentials(name);
      }
      const { userName } = challenge;
      const password = answers.get("response") ?? "";
      return await ask({ userName, password }, challenge.state, context, signal);
    },
    async check(signal) {
      // Nobody's password: any genuine answer shows that the server is there and shares our secret.
      const probe = { userName: "isthmus-check", password: randomBytes(12).toString("hex") };
      const context = { remoteAddress: "127.0.0.1" };
      await request(options, { ...probe, state: undefined, context }, signal);
    },
  };
}

function stepOf(name: string, { userName }: Credentials, answer: AccessAnswer): AuthenticationStep {
  switch (answer.kind) {
    case "accept":
      return { kind: "accepted", user: { userName, groups: answer.groups.flatMap(groupsOf) } };
    case "reject":
      return wrongCredentials(name);
    case "challenge": {
      const message = answer.replyMessage.slice(0, MAX_MESSAGE_CHARACTERS) || "Enter the response.";
      const fields = [{ name: "response", label: "Response:", kind: "password" }] as const;
      const state: ChallengeState = { userName, state: answer.state };
      return { kind: "ask", message, fields, state };
    }
  }
}

/** ocserv and Cisco name groups in Class as `OU=group;`, others as they are. */
function groupsOf(text: string): string[] {
  const units = [...text.matchAll(/OU=([^;]+)/gi)].flatMap((match) => match[1] ?? []);
  return units.length > 0 ? units : [text];
}

interface Asked extends Credentials {
  readonly state: Buffer | undefined;
  readonly context: Pick<LoginContext, "remoteAddress">;
}

/** Asks server after server, each as often as configured. @throws ConnectorError `radius-unreachable` */
async function request(
  options: RadiusOptions,
  asked: Asked,
  signal: AbortSignal,
): Promise<AccessAnswer> {
  const secret = readSecretFile(options.secretFile);
  const packet: AccessRequest = {
    identifier: randomInt(256),
    authenticator: randomBytes(16),
    userName: asked.userName,
    password: asked.password,
    nasIdentifier: options.nasIdentifier,
    callingStationId: asked.context.remoteAddress,
    state: asked.state,
  };
  const bytes = encodeAccessRequest(packet, secret);
  const read = (answer: Buffer) =>
    decodeAccessAnswer(answer, packet, secret, options.requireMessageAuthenticator);
  const tries = options.servers.flatMap((server) => Array(options.retries + 1).fill(server));
  let last = "no server answered";
  for (const server of tries) {
    signal.throwIfAborted();
    const timeout = AbortSignal.timeout(options.timeoutSeconds * SECOND_MS);
    try {
      return await exchange(server, bytes, read, AbortSignal.any([signal, timeout]));
    } catch (error) {
      last = error instanceof Error ? error.message : last;
    }
  }
  const where = options.servers.map(({ host, port }) => `${host}:${port}`).join(", ");
  const message = `RADIUS at ${where}: ${last}; check address, port and shared secret`;
  throw new ConnectorError("radius-unreachable", message, { isRetryable: true });
}

/** One datagram there, and the first genuine one back; forged ones are passed over until the time is up. */
async function exchange(
  server: RadiusOptions["servers"][number],
  bytes: Buffer,
  read: (answer: Buffer) => AccessAnswer,
  signal: AbortSignal,
): Promise<AccessAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<AccessAnswer>();
  const socket = createSocket(server.host.includes(":") ? "udp6" : "udp4");
  let refused = "no answer";
  let seen = 0;
  const onAbort = () => reject(new Error(refused));
  socket.on("error", reject);
  socket.on("message", (message) => {
    seen += 1;
    try {
      resolve(read(message));
    } catch (error) {
      refused = error instanceof Error ? error.message : refused;
      if (seen >= MAX_DATAGRAMS) reject(new Error(refused));
    }
  });
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    socket.connect(server.port, server.host, () => socket.send(bytes));
    return await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.close();
  }
}

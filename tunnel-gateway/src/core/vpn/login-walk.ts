import type {
  AuthenticatedUser,
  AuthenticationStep,
  Authenticator,
  FormField,
  LoginContext,
} from "../authenticator.ts";
import type { Refusal } from "../refusal.ts";
import type { CertificateHolder, CertificateStep } from "./certificate-step.ts";
import type { UserNames } from "./user-names.ts";
import { CERTIFICATE, type VpnGroup } from "./vpn-rules.ts";
import type { LoginRequest } from "./vpn-service-port.ts";

/** How far a login has come through the lists of its group: `at` in list `list`. */
export interface LoginProgress {
  readonly list: number;
  readonly at: number;
  readonly holder: CertificateHolder | undefined;
  /** Whom the authenticators of this list have named. */
  readonly users: readonly AuthenticatedUser[];
  /** The name that the user typed for this list, as far as one can tell. */
  readonly account: string | undefined;
  /** What the first question of this list was answered with, for a later list that asks the same. */
  readonly answers: ReadonlyMap<string, string> | undefined;
  /** Why earlier lists would not do. */
  readonly refusals: readonly Refusal[];
  /** Whether one of those was a wrong guess, since a list last went on. */
  readonly hasGuessed: boolean;
  readonly hasAskedForCertificate: boolean;
}

export const START: LoginProgress = {
  list: 0,
  at: 0,
  holder: undefined,
  users: [],
  account: undefined,
  answers: undefined,
  refusals: [],
  hasGuessed: false,
  hasAskedForCertificate: false,
};

type Question = Extract<AuthenticationStep, { readonly kind: "ask" | "browse" }>;

/** Where a walk through the lists stopped. */
export type WalkStop =
  | { readonly kind: "question"; readonly question: Question; readonly progress: LoginProgress }
  | { readonly kind: "certificate"; readonly progress: LoginProgress }
  /** Every authenticator of a list has said yes. */
  | { readonly kind: "done"; readonly progress: LoginProgress }
  /** No list is left. */
  | { readonly kind: "exhausted"; readonly progress: LoginProgress };

export interface Walk {
  readonly group: VpnGroup;
  readonly request: LoginRequest;
  readonly signal: AbortSignal;
  /** Lists beyond this one are not tried. */
  readonly lists?: readonly (readonly string[])[];
}

/** Walks through the OR of ANDs of a group, asking one authenticator after the other, until somebody has to be asked. */
export class LoginWalk {
  readonly #authenticators: ReadonlyMap<string, Authenticator>;
  readonly #certificates: CertificateStep;
  readonly #names: UserNames;

  constructor(options: {
    readonly authenticators: ReadonlyMap<string, Authenticator>;
    readonly certificates: CertificateStep;
    readonly names: UserNames;
  }) {
    this.#authenticators = options.authenticators;
    this.#certificates = options.certificates;
    this.#names = options.names;
  }

  /** Whether a bearer token and a certificate that is shown beside it may be all that a list wants. */
  takesToken(list: readonly string[]): boolean {
    const others = list.filter((name) => name !== CERTIFICATE);
    return (
      others.length > 0 &&
      others.every((name) => this.#authenticators.get(name)?.takesToken === true)
    );
  }

  /** Goes on from `progress`, where nothing has been answered. */
  async go(walk: Walk, from: LoginProgress): Promise<WalkStop> {
    for (let progress = from; ; ) {
      const list = (walk.lists ?? walk.group.authentication)[progress.list];
      if (!list) return { kind: "exhausted", progress };
      const name = list[progress.at];
      if (name === undefined) return { kind: "done", progress };
      const next =
        name === CERTIFICATE
          ? await this.#showCertificate(walk, progress)
          : await this.#begin(walk, progress, name);
      if ("kind" in next) return next;
      progress = next;
    }
  }

  /** Goes on with what was answered to the question at which the walk stopped. */
  async answer(
    walk: Walk,
    from: LoginProgress,
    state: unknown,
    answers: ReadonlyMap<string, string>,
  ): Promise<WalkStop> {
    const name = walk.group.authentication[from.list]?.[from.at] ?? "";
    const progress = from.users.length === 0 && !from.answers ? { ...from, answers } : from;
    const next = await this.#answer(walk, progress, name, state, answers);
    return "kind" in next ? next : this.go(walk, next);
  }

  async #showCertificate(
    { group, request }: Walk,
    progress: LoginProgress,
  ): Promise<LoginProgress | WalkStop> {
    const { connection, hasNoCertificate } = request;
    const hasNone = connection.certificates.length === 0;
    if (hasNone && !hasNoCertificate && !progress.hasAskedForCertificate) {
      return { kind: "certificate", progress: { ...progress, hasAskedForCertificate: true } };
    }
    const { holder, refusal } = await this.#certificates.judge(connection, group);
    if (refusal) return nextList(progress, refusal, false);
    const named = progress.users[0]?.userName;
    if (!this.#agrees(named, holder.userName)) return nextList(progress, MISMATCH, true);
    return { ...progress, holder, at: progress.at + 1 };
  }

  async #begin(
    walk: Walk,
    progress: LoginProgress,
    name: string,
  ): Promise<LoginProgress | WalkStop> {
    const authenticator = this.#authenticators.get(name);
    if (!authenticator) return nextList(progress, MISSING_AUTHENTICATOR, false);
    const step = await authenticator.begin(contextOf(walk, progress), walk.signal);
    const { answers } = progress;
    const isSameQuestion =
      step.kind === "ask" &&
      answers &&
      progress.refusals.length > 0 &&
      progress.users.length === 0 &&
      step.fields.every((field) => answers.has(field.name));
    if (!isSameQuestion) return this.#take(step, progress);
    const account = typedAccount(step.fields, answers);
    return this.#answer(walk, { ...progress, account }, name, step.state, answers);
  }

  async #answer(
    walk: Walk,
    progress: LoginProgress,
    name: string,
    state: unknown,
    answers: ReadonlyMap<string, string>,
  ): Promise<LoginProgress | WalkStop> {
    const authenticator = this.#authenticators.get(name);
    if (!authenticator) return nextList(progress, MISSING_AUTHENTICATOR, false);
    const context = contextOf(walk, progress);
    return this.#take(await authenticator.answer(state, answers, context, walk.signal), progress);
  }

  #take(step: AuthenticationStep, progress: LoginProgress): LoginProgress | WalkStop {
    switch (step.kind) {
      case "ask":
      case "browse":
        return { kind: "question", question: step, progress };
      case "accepted": {
        const { user } = step;
        if (!this.#agrees(nameOf(progress), user.userName))
          return nextList(progress, MISMATCH, true);
        const users = [...progress.users, user];
        return { ...progress, users, at: progress.at + 1, hasGuessed: false };
      }
      case "refused":
        return nextList(progress, step.refusal, step.isAttempt);
    }
  }

  /** All who name a user name the same one. */
  #agrees(one: string | undefined, other: string | undefined): boolean {
    return one === undefined || other === undefined || this.#names.isSame(one, other);
  }
}

/** The name that this list's authenticators agree on so far. */
export function nameOf({ users, holder }: LoginProgress): string | undefined {
  const named = [holder?.userName, ...users.map(({ userName }) => userName)].filter(
    (name) => name !== undefined,
  );
  return named.find((name) => name.includes("@")) ?? named[0];
}

/** Of the answers to a question, what stands where a user's name goes. */
export function typedAccount(
  fields: readonly FormField[],
  answers: ReadonlyMap<string, string>,
): string | undefined {
  const field = fields.find(({ kind }) => kind === "text");
  return field && answers.get(field.name);
}

function nextList(progress: LoginProgress, refusal: Refusal, isGuess: boolean): LoginProgress {
  return {
    ...START,
    list: progress.list + 1,
    answers: progress.answers,
    refusals: [...progress.refusals, refusal],
    hasGuessed: progress.hasGuessed || isGuess,
    hasAskedForCertificate: progress.hasAskedForCertificate,
  };
}

function contextOf({ group, request }: Walk, progress: LoginProgress): LoginContext {
  return {
    remoteAddress: request.connection.remoteAddress,
    group: group.name,
    userName: nameOf(progress),
    bearerToken: request.bearerToken,
    publicUrl: request.publicUrl,
    deviceId: progress.holder?.device?.deviceId,
    browserKey: request.client.browserKey,
  };
}

const MISMATCH: Refusal = {
  code: "user-mismatch",
  rule: "vpn/same-user",
  message: "the user is not the one that the certificate or an earlier step named",
};
const MISSING_AUTHENTICATOR: Refusal = {
  code: "authenticator-unreachable",
  rule: "vpn/authenticators",
  message: "the gateway has no such authenticator any more",
};

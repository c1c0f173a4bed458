import { isDeepStrictEqual } from "node:util";
import type { Clock } from "@isthmus/shared/clock";
import type { AccessControl } from "../access.ts";
import type { FormField } from "../authenticator.ts";
import type { CertificateFacts, PeerCertificate } from "../identity.ts";
import type { Refusal } from "../refusal.ts";
import type { KnownPlaces, Whence } from "./known-places.ts";
import {
  type LoginProgress,
  type LoginWalk,
  nameOf,
  START,
  typedAccount,
  type Walk,
  type WalkStop,
} from "./login-walk.ts";
import type { PendingLogins } from "./pending-logins.ts";
import { type Scores, scoredAddress } from "./scores.ts";
import type { Sessions } from "./sessions.ts";
import type { UserNames } from "./user-names.ts";
import type { VpnObserver } from "./vpn-ports.ts";
import { CERTIFICATE, groupNamed, type VpnGroup } from "./vpn-rules.ts";
import type { LoginAnswer, LoginRequest, VpnLogin } from "./vpn-service-port.ts";

/** A login that waits for an answer. */
export interface PendingLogin {
  readonly group: string;
  /** The lists that `progress` speaks of. */
  readonly authentication: VpnGroup["authentication"];
  readonly progress: LoginProgress;
  /** Of a question; the authenticator's own. */
  readonly question:
    | {
        readonly state: unknown;
        readonly fields: readonly FormField[];
        /** Of what it is answered with. Whatever else a client sends is neither given to anybody nor kept. */
        readonly answers: readonly string[];
      }
    | undefined;
  /** How often the user has been asked anew after a wrong answer. */
  readonly tries: number;
}

export interface LoginOptions {
  readonly access: AccessControl;
  readonly walk: LoginWalk;
  readonly pending: PendingLogins<PendingLogin>;
  readonly scores: Scores;
  readonly places: KnownPlaces;
  readonly sessions: Sessions;
  readonly names: UserNames;
  readonly clock: Clock;
  readonly observer: VpnObserver;
}

/** Own limit: wrong answers before a client has to begin anew. */
const MAX_TRIES = 3;

/**
 * Logs users and devices in. A login is a walk through the lists of its group, which stops wherever somebody has to be asked;
 * what is known by then stays here, bound to an opaque token that is good once, to the group, and to the certificate that it
 * has counted on.
 */
export class Login implements VpnLogin {
  readonly #options: LoginOptions;

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  async begin(request: LoginRequest, signal: AbortSignal): Promise<LoginAnswer> {
    const { rules } = this.#options.access;
    const asked = request.group === undefined ? undefined : groupNamed(rules.vpn, request.group);
    const group = asked ?? rules.vpn.groups[0];
    if (!group) return this.#refuse(request, NO_GROUPS);
    const walk = { group, request, signal };
    const banned = this.#addressBanOf(request);
    if (banned) return this.#despite(banned, walk, START);
    const silent = await this.#withoutAsking(walk);
    if (silent) return silent;
    // Where a form would come first, whoever has no token need not hear of one.
    const first = group.authentication.find((list) => !isCertificateAlone(list)) ?? [];
    if (request.canBringToken && this.#options.walk.takesToken(first)) return TOKEN_WANTED;
    return this.#settle(walk, await this.#options.walk.go(walk, START), 0, undefined);
  }

  async answer(
    opaque: string,
    fields: ReadonlyMap<string, string>,
    request: LoginRequest,
    signal: AbortSignal,
  ): Promise<LoginAnswer> {
    const pending = this.#options.pending.take(opaque);
    const { rules } = this.#options.access;
    const group = rules.vpn.groups.find(({ name }) => name === pending?.group);
    if (!pending || !group || !isBound(pending, group, request)) return this.begin(request, signal);
    const walk = { group, request, signal };
    const { question, tries } = pending;
    if (!question) {
      const banned = this.#addressBanOf(request);
      if (banned) return this.#despite(banned, walk, { ...START, hasAskedForCertificate: true });
      return this.#settle(
        walk,
        await this.#options.walk.go(walk, pending.progress),
        tries,
        undefined,
      );
    }
    const answers = new Map([...fields].filter(([name]) => question.answers.includes(name)));
    const typed = typedAccount(question.fields, answers);
    const account = nameOf(pending.progress) ?? typed ?? pending.progress.account;
    const progress = { ...pending.progress, account };
    return this.#guess(walk, progress, tries, () =>
      this.#options.walk.answer(walk, progress, question.state, answers),
    );
  }

  /**
   * A ban of an address is for those who guess there. A certificate cannot be guessed, so lists that want nothing else stay
   * open; an account is banned by its name, which none of them asks for.
   */
  async #despite(banned: Refusal, walk: Walk, from: LoginProgress): Promise<LoginAnswer> {
    const { authentication } = walk.group;
    const lists = authentication.filter(isCertificateAlone);
    const stop = await this.#options.walk.go({ ...walk, lists }, from);
    const isOther = stop.kind === "exhausted" && lists.length < authentication.length;
    if (isOther) return this.#refuse(walk.request, banned, { isBanned: true });
    return this.#settle(walk, stop, 0, undefined);
  }

  /** A certificate or a bearer token may be all that a list wants, wherever it stands. */
  async #withoutAsking(walk: Walk): Promise<LoginAnswer | undefined> {
    const { group, request } = walk;
    const hasToken = request.bearerToken !== undefined;
    const hasCertificate = request.connection.certificates.length > 0;
    for (const list of group.authentication) {
      if (!(isCertificateAlone(list) ? hasCertificate : hasToken)) continue;
      const stop = await this.#options.walk.go({ ...walk, lists: [list] }, START);
      if (stop.kind === "done") return this.#accept(walk, stop.progress);
      if (!stop.progress.hasGuessed) continue;
      this.#charge(request, stop.progress);
      return this.#refuse(request, worst(stop.progress), { group, isAttempt: true });
    }
    return undefined;
  }

  /** Asks authenticators about a guess: it costs its points first, and has them back where it was none or a good one. */
  async #guess(
    walk: Walk,
    progress: LoginProgress,
    tries: number,
    ask: () => Promise<WalkStop>,
  ): Promise<LoginAnswer> {
    const { request, group } = walk;
    const key = this.#accountKey(request, progress);
    const banned =
      this.#addressBanOf(request) ?? (key === undefined ? undefined : this.#banOf("account", key));
    const { account } = progress;
    if (banned) return this.#refuse(request, banned, { group, isBanned: true, account });
    const refund = this.#charge(request, progress);
    let stop: WalkStop | undefined;
    try {
      stop = await ask();
    } finally {
      if (stop ? !stop.progress.hasGuessed : !walk.signal.aborted) refund();
    }
    if (stop.kind === "exhausted") return this.#afterLast(walk, stop.progress, tries, account);
    const refusal = stop.progress.hasGuessed ? stop.progress.refusals.at(-1) : undefined;
    if (!refusal) return this.#settle(walk, stop, tries, undefined);
    this.#refuse(request, refusal, { group, isAttempt: true, account });
    const next = { ...stop.progress, hasGuessed: false };
    return this.#settle(walk, { ...stop, progress: next }, tries, refusal.message);
  }

  /** No list is left after a guess: where that is what was wrong, the user may try again, so many times. */
  async #afterLast(
    walk: Walk,
    progress: LoginProgress,
    tries: number,
    account: string | undefined,
  ): Promise<LoginAnswer> {
    const isAttempt = progress.hasGuessed;
    const refusal = worst(progress);
    const answer = this.#refuse(walk.request, refusal, { group: walk.group, isAttempt, account });
    if (!isAttempt || tries + 1 >= MAX_TRIES) return answer;
    const again = await this.#options.walk.go(walk, { ...START, hasAskedForCertificate: true });
    const isForm = again.kind === "question" && again.question.kind === "ask";
    return isForm ? this.#settle(walk, again, tries + 1, refusal.message) : answer;
  }

  /** What a client is told where a walk has stopped. */
  async #settle(
    walk: Walk,
    stop: WalkStop,
    tries: number,
    error: string | undefined,
  ): Promise<LoginAnswer> {
    const { group, request } = walk;
    const { progress } = stop;
    switch (stop.kind) {
      case "done":
        return this.#accept(walk, progress);
      case "exhausted":
        return this.#refuse(request, worst(progress), { group, account: progress.account });
      case "certificate": {
        const opaque = this.#keep(walk, { progress, question: undefined, tries });
        return { kind: "certificate", opaque, message: "Show the certificate of this device." };
      }
      case "question":
        return this.#ask(walk, stop, tries, error);
    }
  }

  #ask(
    walk: Walk,
    { question, progress }: Extract<WalkStop, { readonly kind: "question" }>,
    tries: number,
    error: string | undefined,
  ): LoginAnswer {
    const { group } = walk;
    const { state, message } = question;
    const fields = question.kind === "ask" ? question.fields : [];
    const answers =
      question.kind === "ask" ? fields.map(({ name }) => name) : [question.tokenCookie];
    const opaque = this.#keep(walk, { progress, question: { state, fields, answers }, tries });
    const { groups: all } = this.#options.access.rules.vpn;
    const groups = all.map(({ name, label }) => ({ name, label }));
    const where = { opaque, message, groups, group: group.name };
    if (question.kind === "ask") return { kind: "form", ...where, error, fields };
    const { loginUrl, finalUrl, tokenCookie, errorCookie } = question;
    return { kind: "browse", ...where, loginUrl, finalUrl, tokenCookie, errorCookie };
  }

  async #accept({ group, request }: Walk, progress: LoginProgress): Promise<LoginAnswer> {
    const { holder, users } = progress;
    const userName = nameOf(progress) ?? holder?.device?.deviceId ?? holder?.certificate.key;
    if (userName === undefined) return this.#refuse(request, NO_NAME, { group });
    const userGroups = [...new Set(users.flatMap(({ groups }) => groups))];
    const certificate = holder?.certificate;
    const verdict = this.#options.access.admitSession({
      certificate,
      group: group.name,
      userGroups,
    });
    const told = { group, account: userName };
    if (verdict.refusal) return this.#refuse(request, verdict.refusal, told);
    const created = await this.#options.sessions.create({
      group: verdict.group,
      certificate,
      record: {
        userName,
        userGroups,
        deviceId: verdict.device?.deviceId,
        certificate: certificate && factsOf(certificate),
        client: { ...request.client, browserKey: undefined },
        remoteAddress: request.connection.remoteAddress,
      },
    });
    if (created.refusal) return this.#refuse(request, created.refusal, told);
    this.#learn(request, progress, userName);
    const { banner } = verdict.group;
    return { kind: "accepted", cookie: created.cookie, userName, group: group.name, banner };
  }

  #keep(walk: Walk, of: Omit<PendingLogin, "group" | "authentication">): string {
    const address = scoredAddress(walk.request.connection.remoteAddress);
    const { name, authentication } = walk.group;
    return this.#options.pending.put({ ...of, group: name, authentication }, address);
  }

  /** Counts a guess; what takes it back. */
  #charge(request: LoginRequest, progress: LoginProgress): () => void {
    const { scores, observer } = this.#options;
    const key = this.#accountKey(request, progress);
    const address = scoredAddress(request.connection.remoteAddress);
    const charged = [
      { kind: "address" as const, key: address },
      ...(key === undefined ? [] : [{ kind: "account" as const, key }]),
    ].map((one) => ({ ...one, ban: scores.charge(one.kind, one.key) }));
    for (const { ban } of charged) if (ban) observer.banned(ban);
    return () => {
      for (const { kind, key: of, ban } of charged) scores.refund(kind, of, ban);
    };
  }

  #accountKey(request: LoginRequest, progress: LoginProgress): string | undefined {
    const { names, places } = this.#options;
    if (progress.account === undefined) return undefined;
    return places.scoredBy(names.scoredName(progress.account), whence(request, progress));
  }

  /** The name that was typed may be another than the one that it is known by now; guesses will be counted by the former. */
  #learn(request: LoginRequest, progress: LoginProgress, userName: string): void {
    const { names, places } = this.#options;
    const all = [userName, progress.account ?? userName].map((name) => names.scoredName(name));
    for (const account of new Set(all)) places.learn(account, whence(request, progress));
  }

  #addressBanOf({ connection }: LoginRequest): Refusal | undefined {
    return this.#banOf("address", scoredAddress(connection.remoteAddress));
  }

  /** Nobody learns by the words whether it was the password or the ban. */
  #banOf(kind: "address" | "account", key: string): Refusal | undefined {
    const { scores, clock } = this.#options;
    const until = scores.bannedUntil(kind, key);
    if (until === undefined) return undefined;
    return { ...WRONG, retryAfterSeconds: Math.ceil((until - clock.now()) / 1_000) };
  }

  #refuse(request: LoginRequest, refusal: Refusal, more: RefusalDetails = {}): LoginAnswer {
    const { connection } = request;
    this.#options.observer.loginRefused({
      refusal,
      group: more.group?.name,
      userName: more.account,
      remoteAddress: connection.remoteAddress,
      isAttempt: more.isAttempt ?? false,
      isBanned: more.isBanned ?? false,
    });
    return { kind: "refused", refusal };
  }
}

interface RefusalDetails {
  readonly group?: VpnGroup;
  readonly account?: string | undefined;
  readonly isAttempt?: boolean;
  readonly isBanned?: boolean;
}

/** A certificate need not be shown on every connection of a login; that it was, the walk knows. */
function whence({ connection }: LoginRequest, { holder }: LoginProgress): Whence {
  const certificate = connection.certificates[0] ?? holder?.der;
  return { address: scoredAddress(connection.remoteAddress), certificate };
}

function isCertificateAlone(list: readonly string[]): boolean {
  return list.every((name) => name === CERTIFICATE);
}

function factsOf({ issuer: _, ...facts }: PeerCertificate): CertificateFacts {
  return facts;
}

/**
 * The same group with the same lists, of which some could be passed by otherwise, and no other certificate than the one that
 * counted; it need not be shown on every connection.
 */
function isBound(
  { progress, authentication }: PendingLogin,
  group: VpnGroup,
  request: LoginRequest,
): boolean {
  if (!isDeepStrictEqual(authentication, group.authentication)) return false;
  const wanted = request.group?.toLowerCase() ?? group.name.toLowerCase();
  if (wanted !== group.name.toLowerCase() && wanted !== group.label.toLowerCase()) return false;
  const [shown] = request.connection.certificates;
  return !shown || !progress.holder || shown.equals(progress.holder.der);
}

/** Of the refusals of all lists, the one that says most: that there is no certificate is the least. */
function worst({ refusals }: LoginProgress): Refusal {
  return refusals.findLast(({ code }) => code !== "certificate-missing") ?? refusals[0] ?? WRONG;
}

// The words of an authenticator for a wrong password.
const WRONG: Refusal = {
  code: "credentials-wrong",
  rule: "vpn/bans",
  message: "the user name or the password is wrong",
};
const TOKEN_WANTED: LoginAnswer = { kind: "token", message: "bring a bearer token, or none" };
const NO_GROUPS: Refusal = {
  code: "group-unknown",
  rule: "vpn/groups",
  message: "nobody can log in: the configuration has no group",
};
const NO_NAME: Refusal = {
  code: "user-mismatch",
  rule: "vpn/same-user",
  message: "nobody has said who the user is",
};

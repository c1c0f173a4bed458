import type { Clock } from "@isthmus/shared/clock";
import type { Profile } from "../core/profile.ts";
import {
  noFigures,
  type ShadowComparison,
  type ShadowFigures,
  type ShadowOutcome,
  withComparison,
} from "../core/shadow-figures.ts";
import { type HttpAnswer, plainAnswer } from "./http-answer.ts";
import { type ForwardedRequest, forwardToNdes, type NdesServer } from "./ndes-forwarding.ts";
import {
  type Judged,
  judgeRequest,
  missingCapabilities,
  type ShadowJudgeParts,
  type Verdict,
  verdictOfNdes,
} from "./shadow-judge.ts";

/** Our own limit on what is judged at once; NDES answers the device whether we come along or not. */
const MAX_JUDGING = 32;

/** The addresses of SCEP and no others: what follows goes to a server that has pages which are nobody's business. */
const NDES_PATH = /^\/certsrv\/mscep\/mscep\.dll(\/pkiclient\.exe)?\/?$/i;

export interface ShadowModeParts {
  readonly ndes: NdesServer;
  readonly judge: ShadowJudgeParts;
  /** The profile with `ndesPath`. */
  readonly profile: () => Profile | undefined;
  /** What our own GetCACaps offers under it. */
  readonly capabilities: (profile: Profile) => readonly string[];
  /** What was seen before. */
  readonly figures: ShadowFigures | undefined;
  readonly clock: Clock;
  readonly onCompared: (comparison: ShadowComparison) => void;
  readonly onFault: (error: unknown) => void;
}

export interface ShadowRequest extends Omit<ForwardedRequest, "rest"> {
  readonly path: string;
  readonly query: string;
}

/** Stands before an NDES server: hands on what comes, and compares its answers with what ours would be. */
export class ShadowMode {
  readonly #parts: ShadowModeParts;
  #figures: ShadowFigures;
  #judging = 0;
  /** Resolves when nothing is being judged. */
  #idle: Promise<unknown> = Promise.resolve();

  constructor(parts: ShadowModeParts) {
    this.#parts = parts;
    this.#figures = parts.figures ?? noFigures(parts.clock.now());
  }

  get figures(): ShadowFigures {
    return this.#figures;
  }

  /** Resolves once all that was answered is judged, too. */
  async settled(): Promise<void> {
    await this.#idle;
  }

  covers(path: string): boolean {
    return NDES_PATH.test(path);
  }

  async answer(request: ShadowRequest): Promise<HttpAnswer> {
    const { path, query } = request;
    const rest = (NDES_PATH.exec(path)?.[1] ?? "") + (query === "" ? "" : `?${query}`);
    const { method, headers, body } = request;
    const began = performance.now();
    let answer: HttpAnswer;
    try {
      answer = await forwardToNdes(this.#parts.ndes, { method, rest, headers, body });
    } catch (error) {
      this.#count("ndesFailed");
      this.#parts.onFault(error);
      return plainAnswer(502, "ndes-unreachable", "The NDES server behind this address is away");
    }
    this.#compareLater(request, answer, performance.now() - began);
    return answer;
  }

  #compareLater(request: ShadowRequest, answer: HttpAnswer, ndesMs: number): void {
    const profile = this.#parts.profile();
    if (profile === undefined || this.#judging >= MAX_JUDGING) {
      this.#count("notJudged");
      return;
    }
    this.#judging += 1;
    const judging = this.#compare(profile, request, answer, ndesMs)
      .catch(this.#parts.onFault)
      .finally(() => {
        this.#judging -= 1;
      });
    this.#idle = Promise.all([this.#idle, judging]);
  }

  async #compare(
    profile: Profile,
    request: ShadowRequest,
    answer: HttpAnswer,
    ndesMs: number,
  ): Promise<void> {
    const { judge, clock, capabilities, onCompared } = this.#parts;
    const began = performance.now();
    const judged = await judgeRequest(judge, profile, request);
    const ownMs = performance.now() - began;
    const theirs = verdictOfNdes(judged.operation, answer);
    if (theirs === undefined) return this.#count("ndesFailed");
    const missing =
      judged.operation === "GetCACaps" && theirs.isAccepted
        ? missingCapabilities(answer.body, capabilities(profile))
        : [];
    const own = missing.length === 0 ? judged.own : { isAccepted: false, reason: missing.join() };
    const comparison = compared({ ...judged, own }, theirs, { at: clock.now(), ndesMs, ownMs });
    this.#figures = withComparison(this.#figures, comparison);
    onCompared(comparison);
  }

  #count(what: "ndesFailed" | "notJudged"): void {
    this.#figures = { ...this.#figures, [what]: this.#figures[what] + 1 };
  }
}

function compared(
  { operation, transactionId, own }: Judged,
  theirs: Verdict,
  times: { readonly at: number; readonly ndesMs: number; readonly ownMs: number },
): ShadowComparison {
  const outcome = outcomeOf(own.isAccepted, theirs.isAccepted);
  const reason = outcome === "only-ndes" ? own.reason : reasonOf(outcome, theirs);
  return { ...times, operation, transactionId, outcome, reason };
}

function outcomeOf(own: boolean, theirs: boolean): ShadowOutcome {
  if (own === theirs) return own ? "agreed-accept" : "agreed-refuse";
  return own ? "only-ours" : "only-ndes";
}

function reasonOf(outcome: ShadowOutcome, theirs: Verdict): string | undefined {
  return outcome === "only-ours" ? `ndes: ${theirs.reason}` : undefined;
}

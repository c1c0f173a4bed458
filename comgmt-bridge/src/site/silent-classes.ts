import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { type Row, readRows } from "../protocol/admin-service/answer.ts";
import {
  type ClassName,
  classPath,
  type Key,
  objectPath,
  pathWithoutKeys,
} from "../protocol/admin-service/path.ts";
import type { Query } from "../protocol/admin-service/query.ts";
import { DEVICE, SYSTEM } from "../protocol/admin-service/rows.ts";
import type { AdminServiceClient, Asking, Page, RawPage } from "./admin-service-client.ts";
import { givenUpWith } from "./given-up-with.ts";
import type { Calls, Objects, RawPages } from "./raw-pages.ts";
import type { RowSource } from "./read-key-range.ts";
import { isUnanswered } from "./unanswered.ts";

const TIMEOUT = "site-timeout";

interface Illness {
  readonly code: string;
  /** Behind the name, for so many times. */
  readonly what: (times: number) => string;
  readonly why: string;
}

const SILENT: Illness = {
  code: "site-class-silent",
  what: (times) => `did not answer ${times} requests one behind the other`,
  why: "it hangs at the provider (SMSProv.log says in what), or its pages take longer than site.limits.firstByteTimeoutMs and timeoutMs allow; lower site.limits.pageRows then",
};
const AWAY: Illness = {
  code: "site-class-unavailable",
  what: (times) =>
    `was answered ${times} times, one behind the other, with a status that says that nothing is behind the site's front`,
  why: "look at what stands in front of the provider, and at SMSProv.log",
};
const CUT: Illness = {
  code: "site-class-interrupted",
  what: (times) =>
    `ended the connection before its whole answer ${times} times, one behind the other`,
  why: "the provider ends while it answers (SMSProv.log), or something on the way takes offence at the answer; lower site.limits.pageRows if it is long",
};
/** What is said of a class alone of which each request ends so; see `isUnanswered`. */
const ILLNESSES: Readonly<Record<string, Illness>> = {
  [TIMEOUT]: SILENT,
  "site-unavailable": AWAY,
  "site-interrupted": CUT,
};
const CLASS_CODES = new Set(Object.values(ILLNESSES).map(({ code }) => code));
/** A refusal that comes from behind the front. */
const ANSWERS = new Set([
  ...["site-bad-request", "site-forbidden", "site-not-found", "cmpivot-not-ready"],
]);
/** Own choice: requests of a class, one behind the other, that nobody answers while others are answered. */
const UNANSWERED = 2;
/** Asked before this has seen any answer: the list of devices in both of its forms. */
const FIRST_ASKED: readonly ClassName[] = [SYSTEM, DEVICE];

/** What is thrown for a class that alone is not answered: it goes on without it, and it is tried again later. */
export function isClassIll(error: unknown): boolean {
  return CLASS_CODES.has(codeOf(error));
}

/** A class of which the last request, and all beside it, were not answered. */
interface Silence {
  /** Those in a row during which other classes were answered. */
  readonly unanswered: number;
  readonly fault: ConnectorError;
}

/** A class whose rows are asked for, or a call that has a path of its own, whichever object it is of: one may hang without the other. */
interface ClassState {
  readonly name: string;
  /** Undefined for a call. */
  readonly of: ClassName | undefined;
  answers: number;
  silence: Silence | undefined;
  /** Ends what is under way. */
  ending: AbortController;
  /** The one request that finds out. */
  trial: Promise<void> | undefined;
}

interface Witness {
  readonly of: ClassName;
  readonly isThere: Promise<boolean>;
}

type AnsweringClient = Pick<AdminServiceClient, "page" | "one" | "ask">;
type Ask<Value> = (asking: Asking) => Promise<Value>;

/**
 * Keeps a class that hangs at the provider from holding the places of all others. Each request waits for a class as long as for any other,
 * and is repeated as often, while the class answers somebody. Once it let a whole request pass in silence:
 *
 * ```
 *   answering ──a timeout, and no answer meanwhile──▶ silent: what is under way ends, one request at a time, none repeated
 *       ▲                                              │  │
 *       └──────────────────an answer───────────────────┘  └─ again, while others answer ──▶ fails with `site-class-silent`
 * ```
 *
 * Where nothing else was asked for meanwhile, another class is. Where none answers nothing is said of any of them: that is the site, and the
 * client's breaker sees to it. A class for which the front alone says 502, 503 or 504 is one like that (`site-class-unavailable`), and so is
 * one that ends each connection (`site-class-interrupted`).
 */
export class SilentClasses implements RawPages, RowSource, Objects, Calls {
  readonly #client: AnsweringClient;
  readonly #onSilent: (of: string, fault: ConnectorError | undefined) => void;
  /** As many as the catalogue has. */
  readonly #classes = new Map<string, ClassState>();
  #answers = 0;
  /** One request to another class, for all that want to know. */
  #witness: Witness | undefined;
  /** Witnesses that were not answered: after one that hangs itself another class is asked. */
  #inVain = 0;

  /** `onSilent` is told of a class that alone does not answer, and, without a fault, once it does. */
  constructor(
    client: AnsweringClient,
    onSilent: (of: string, fault: ConnectorError | undefined) => void = () => {},
  ) {
    this.#client = client;
    this.#onSilent = onSilent;
  }

  /**
   * Throws what the client throws, and ConnectorError `site-class-silent`, `site-class-unavailable`, `site-class-interrupted` (retryable); so do
   * the others.
   */
  async page(of: ClassName, query: Query, asking: Asking): Promise<RawPage> {
    const state = this.#stateOf(classPath(of), of);
    return await this.#whole(state, (how) => this.#client.page(of, query, how), asking);
  }

  async rows(of: ClassName, query: Query, asking: Asking): Promise<Page> {
    const page = await this.page(of, query, asking);
    return { ...readRows(page.body.whole), ...page };
  }

  async one(of: ClassName, key: Key, asking: Asking): Promise<Row> {
    const state = this.#stateOf(pathWithoutKeys(objectPath(of, key)));
    return await this.#whole(state, (how) => this.#client.one(of, key, how), asking);
  }

  async ask(path: string, asking: Parameters<Calls["ask"]>[1]): Promise<Buffer> {
    const state = this.#stateOf(pathWithoutKeys(path));
    const ask = (how: Asking) => this.#client.ask(path, { ...how, asked: asking.asked });
    return await this.#whole(state, ask, asking);
  }

  async #whole<Value>(state: ClassState, ask: Ask<Value>, asking: Asking): Promise<Value> {
    while (state.silence !== undefined) {
      if (state.trial === undefined) return await this.#try(state, ask, asking);
      const { fault } = state.silence;
      await givenUpWith(asking.signal, state.trial);
      // It waited as long as the one that was sent, and for the same.
      if (state.silence !== undefined && state.silence.fault !== fault) throw state.silence.fault;
    }
    return await this.#ask(state, ask, asking);
  }

  #stateOf(key: string, of?: ClassName): ClassState {
    const known = this.#classes.get(key);
    if (known !== undefined) return known;
    const state: ClassState = {
      ...{ name: of?.name ?? key, of, answers: 0, silence: undefined, trial: undefined },
      ending: new AbortController(),
    };
    this.#classes.set(key, state);
    return state;
  }

  async #try<Value>(state: ClassState, ask: Ask<Value>, asking: Asking): Promise<Value> {
    const trial = Promise.withResolvers<void>();
    state.trial = trial.promise;
    try {
      return await this.#ask(state, ask, asking);
    } finally {
      state.trial = undefined;
      trial.resolve();
    }
  }

  async #ask<Value>(state: ClassState, ask: Ask<Value>, asking: Asking): Promise<Value> {
    const { answers, ending } = state;
    const others = this.#answers - answers;
    const signal = AbortSignal.any([asking.signal, ending.signal]);
    const mayRepeat = (fault: ConnectorError) => fault.code !== TIMEOUT || state.answers > answers;
    try {
      const value = await ask({ ...asking, signal, mayRepeat });
      this.#answered(state);
      return value;
    } catch (error) {
      asking.signal.throwIfAborted();
      if (ending.signal.aborted) throw state.silence?.fault ?? error;
      if (ANSWERS.has(codeOf(error))) this.#answered(state);
      if (!isUnanswered(error) || state.answers !== answers) throw error;
      throw await this.#silent(state, others, error, asking);
    }
  }

  #answered(state: ClassState): void {
    this.#answers += 1;
    state.answers += 1;
    const { silence, name } = state;
    state.silence = undefined;
    if (silence !== undefined && silence.unanswered >= UNANSWERED) this.#onSilent(name, undefined);
  }

  /** The fault that whoever asked is to hear of. */
  async #silent(
    state: ClassState,
    othersBefore: number,
    cause: ConnectorError,
    asking: Asking,
  ): Promise<ConnectorError> {
    const { silence, ending, name } = state;
    const others = this.#answers - state.answers;
    state.silence = { unanswered: silence?.unanswered ?? 0, fault: cause };
    state.ending = new AbortController();
    // Only now: each takes the fault from there.
    ending.abort(new Error(`${name} does not answer`));
    const isAlone = others > othersBefore || (await this.#doesAnotherAnswer(state, asking));
    // It may have answered somebody meanwhile.
    if (!isAlone || state.silence === undefined) return cause;
    const unanswered = state.silence.unanswered + 1;
    const isKnown = unanswered >= UNANSWERED;
    const fault = isKnown ? illFault(name, unanswered, cause) : cause;
    state.silence = { unanswered, fault };
    if (isKnown) this.#onSilent(name, fault);
    return fault;
  }

  /** Where nothing else was asked for meanwhile somebody has to, so that one class does not look like the whole site. */
  async #doesAnotherAnswer(state: ClassState, asking: Asking): Promise<boolean> {
    const witness = this.#witness ?? this.#askAnother(state, asking);
    // The one that is under way for another class is no witness against itself.
    return witness !== undefined && witness.of.name !== state.of?.name && (await witness.isThere);
  }

  #askAnother(state: ClassState, { lane, signal }: Asking): Witness | undefined {
    const answering = [...this.#classes.values()].filter(
      ({ answers, silence }) => answers > 0 && silence === undefined,
    );
    const known = answering.map(({ of }) => of).filter((of) => of !== undefined);
    const candidates = [...known, ...FIRST_ASKED].filter(({ name }) => name !== state.of?.name);
    const of = candidates[this.#inVain % candidates.length];
    if (of === undefined) return undefined;
    const asking = { lane, signal, mayRepeat: () => false };
    const over = (isThere: boolean) => {
      this.#witness = undefined;
      if (!isThere) this.#inVain += 1;
      return isThere;
    };
    const asked = this.#client.page(of, { top: 1 }, asking);
    this.#witness = {
      of,
      isThere: asked.then(
        () => over(true),
        () => over(false),
      ),
    };
    return this.#witness;
  }
}

function illFault(name: string, times: number, cause: ConnectorError): ConnectorError {
  const { code, what, why } = ILLNESSES[cause.code] ?? SILENT;
  return new ConnectorError(
    code,
    `${name} ${what(times)}, while other classes of the site were in order: ${why}; the last: ${cause.message}`,
    { isRetryable: true, cause },
  );
}

import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { ClassName } from "../protocol/admin-service/path.ts";
import type { Query } from "../protocol/admin-service/query.ts";
import { DEVICE, SYSTEM } from "../protocol/admin-service/rows.ts";
import type { Asking, RawPage } from "./admin-service-client.ts";
import { givenUpWith } from "./given-up-with.ts";
import type { RawPages } from "./raw-pages.ts";

const TIMEOUT = "site-timeout";
export const CLASS_SILENT = "site-class-silent";
/** Own choice: requests of a class, one behind the other, that nobody answers while others are answered. */
const TIMEOUTS = 2;
/** Asked before this has seen any answer: the list of devices in both of its forms. */
const FIRST_ASKED: readonly ClassName[] = [SYSTEM, DEVICE];

/** A class of which the last request, and all beside it, were not answered. */
interface Silence {
  /** Those in a row at whose end other classes had been answered. */
  readonly timeouts: number;
  /** Answers of other classes, when it last timed out. */
  readonly others: number;
  readonly fault: ConnectorError;
}

interface ClassState {
  readonly of: ClassName;
  answers: number;
  silence: Silence | undefined;
  /** Ends what is under way. */
  ending: AbortController;
  /** The one request that finds out. */
  trial: Promise<void> | undefined;
}

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
 * client's breaker sees to it.
 */
export class SilentClasses implements RawPages {
  readonly #client: RawPages;
  readonly #onSilent: (of: string, fault: ConnectorError | undefined) => void;
  /** As many as the catalogue has. */
  readonly #classes = new Map<string, ClassState>();
  #answers = 0;
  /** One request to another class, for all that want to know. */
  #witness: Promise<boolean> | undefined;

  /** `onSilent` is told of a class that alone does not answer, and, without a fault, once it does. */
  constructor(
    client: RawPages,
    onSilent: (of: string, fault: ConnectorError | undefined) => void = () => {},
  ) {
    this.#client = client;
    this.#onSilent = onSilent;
  }

  /** Throws what the client throws, and ConnectorError `site-class-silent` (retryable). */
  async page(of: ClassName, query: Query, asking: Asking): Promise<RawPage> {
    const state = this.#stateOf(of);
    while (state.silence !== undefined) {
      if (state.trial === undefined) return await this.#try(state, of, query, asking);
      const { fault } = state.silence;
      await givenUpWith(asking.signal, state.trial);
      // It waited as long as the one that was sent, and for the same.
      if (state.silence !== undefined && state.silence.fault !== fault) throw state.silence.fault;
    }
    return await this.#ask(state, of, query, asking);
  }

  #stateOf(of: ClassName): ClassState {
    const key = `${of.route}/${of.name}`;
    const known = this.#classes.get(key);
    if (known !== undefined) return known;
    const state: ClassState = {
      ...{ of, answers: 0, silence: undefined, trial: undefined },
      ending: new AbortController(),
    };
    this.#classes.set(key, state);
    return state;
  }

  async #try(state: ClassState, of: ClassName, query: Query, asking: Asking): Promise<RawPage> {
    const trial = Promise.withResolvers<void>();
    state.trial = trial.promise;
    try {
      return await this.#ask(state, of, query, asking);
    } finally {
      state.trial = undefined;
      trial.resolve();
    }
  }

  async #ask(state: ClassState, of: ClassName, query: Query, asking: Asking): Promise<RawPage> {
    const { answers, ending } = state;
    const others = this.#answers - answers;
    const signal = AbortSignal.any([asking.signal, ending.signal]);
    const mayRepeat = (fault: ConnectorError) => fault.code !== TIMEOUT || state.answers > answers;
    try {
      const page = await this.#client.page(of, query, { ...asking, signal, mayRepeat });
      this.#answered(state, of);
      return page;
    } catch (error) {
      asking.signal.throwIfAborted();
      if (ending.signal.aborted) throw state.silence?.fault ?? error;
      const isSilent = codeOf(error) === TIMEOUT && state.answers === answers;
      if (!isSilent) throw error;
      throw await this.#silent(state, of, others, error as ConnectorError, asking);
    }
  }

  #answered(state: ClassState, of: ClassName): void {
    this.#answers += 1;
    state.answers += 1;
    const { silence } = state;
    state.silence = undefined;
    if (silence !== undefined && silence.timeouts >= TIMEOUTS) this.#onSilent(of.name, undefined);
  }

  /** The fault that whoever asked is to hear of. */
  async #silent(
    state: ClassState,
    of: ClassName,
    othersBefore: number,
    cause: ConnectorError,
    asking: Asking,
  ): Promise<ConnectorError> {
    const { silence, ending } = state;
    const since = silence?.others ?? othersBefore;
    const others = this.#answers - state.answers;
    state.silence = { timeouts: silence?.timeouts ?? 0, others, fault: cause };
    state.ending = new AbortController();
    // Only now: each takes the fault from there.
    ending.abort(new Error(`${of.name} does not answer`));
    const isAlone = others > since || (await this.#doesAnotherAnswer(state, asking));
    // It may have answered somebody meanwhile.
    if (!isAlone || state.silence === undefined) return cause;
    const timeouts = state.silence.timeouts + 1;
    const isKnown = timeouts >= TIMEOUTS;
    const fault = isKnown ? silentFault(of, timeouts, cause) : cause;
    state.silence = { timeouts, others: this.#answers - state.answers, fault };
    if (isKnown) this.#onSilent(of.name, fault);
    return fault;
  }

  /** Where nothing else was asked for meanwhile somebody has to, so that one class does not look like the whole site. */
  async #doesAnotherAnswer(state: ClassState, { lane, signal }: Asking): Promise<boolean> {
    const known = [...this.#classes.values()].filter((each) => each !== state);
    const answering = known.filter(({ answers, silence }) => answers > 0 && silence === undefined);
    const of = answering[0]?.of ?? FIRST_ASKED.find(({ name }) => name !== state.of.name);
    if (of === undefined) return false;
    const asking = { lane, signal, mayRepeat: () => false };
    this.#witness ??= this.#client.page(of, { top: 1 }, asking).then(
      () => true,
      () => false,
    );
    try {
      return await this.#witness;
    } finally {
      this.#witness = undefined;
    }
  }
}

function silentFault({ name }: ClassName, timeouts: number, cause: ConnectorError): ConnectorError {
  return new ConnectorError(
    CLASS_SILENT,
    `${name} did not answer ${timeouts} requests one behind the other, while other classes of the site did: it hangs at the provider (SMSProv.log says in what), or its pages take longer than site.limits.firstByteTimeoutMs and timeoutMs allow; lower site.limits.pageRows then`,
    { isRetryable: true, cause },
  );
}

/** What goes wrong with one request. */
export type Fault =
  /** A dead provider: the request is never answered. */
  | { readonly kind: "hang" }
  /** The connection ends: before anything is done, after it was done but before the answer, or within the body. */
  | { readonly kind: "cut"; readonly when: "before" | "after" | "mid-body" }
  /** 200 with fewer rows than there are, and nothing that says so. */
  | { readonly kind: "short-page"; readonly rows: number }
  /** 200 with what was asked before at this path. */
  | { readonly kind: "repeated-page" }
  /** 500: a cloud UPN where the one on premises is needed (TA/troubleshooting of the documentation). */
  | { readonly kind: "security-exception" }
  /** 403: the provider demands a second factor. */
  | { readonly kind: "mfa" }
  | { readonly kind: "unauthorized" }
  | { readonly kind: "status"; readonly status: number; readonly body?: unknown }
  /** A page of http.sys, IIS or a proxy in place of an answer. */
  | { readonly kind: "page"; readonly status: number; readonly title: string }
  /** 200 with the rows of the first part of a filter that has several, or of the first and the last. */
  | { readonly kind: "parts-passed-over"; readonly answered: "first" | "first-and-last" }
  | { readonly kind: "slow"; readonly ms: number };

/** When a fault strikes: requests that match are counted; the first `after` pass, the next `times` are struck. */
export interface FaultRule {
  readonly fault: Fault;
  /** Under which its strikes are counted; the fault's kind by default. */
  readonly name?: string;
  readonly method?: string;
  /** A regular expression over the path with its query, decoded. */
  readonly path?: string;
  readonly after?: number;
  /** 1 by default; `"always"` until the rule is taken back. */
  readonly times?: number | "always";
  /** Whether requests whose answers it leaves as they are do not count. */
  readonly isCountedByStrikes?: true;
  /** Of the site's clock. */
  readonly from?: number;
  readonly until?: number;
}

/** The schedule of what goes wrong. */
export class Faults {
  readonly #rules: { readonly rule: FaultRule; seen: number }[] = [];
  /** How many answers were other than they would have been, by the names of rules. */
  readonly strikes = new Map<string, number>();
  /** Answers that had fewer rows because rights were narrowed. */
  narrowed = 0;

  constructor(rules: readonly FaultRule[]) {
    for (const rule of rules) this.add(rule);
  }

  /** Returns a function that takes the rule back. */
  add(rule: FaultRule): () => void {
    const entry = { rule, seen: 0 };
    this.#rules.push(entry);
    return () => {
      const index = this.#rules.indexOf(entry);
      if (index >= 0) this.#rules.splice(index, 1);
    };
  }

  clear(): void {
    this.#rules.length = 0;
  }

  /** The rule of the first that strikes this request. */
  for(method: string, path: string, now: number): FaultRule | undefined {
    for (const entry of this.#rules) {
      if (!matches(entry.rule, method, path, now)) continue;
      entry.seen += 1;
      const { after = 0, times = 1 } = entry.rule;
      const isOver = times !== "always" && entry.seen > after + times;
      if (entry.seen > after && !isOver) return entry.rule;
    }
    return undefined;
  }

  /** The request went by as if there were no such rule. */
  missed(rule: FaultRule): void {
    const entry = this.#rules.find((each) => each.rule === rule);
    if (entry !== undefined && rule.isCountedByStrikes === true) entry.seen -= 1;
  }

  struck({ name, fault }: FaultRule): void {
    const key = name ?? fault.kind;
    this.strikes.set(key, (this.strikes.get(key) ?? 0) + 1);
  }
}

function matches(rule: FaultRule, method: string, path: string, now: number): boolean {
  return (
    (rule.method === undefined || rule.method === method) &&
    (rule.path === undefined || new RegExp(rule.path).test(path)) &&
    now >= (rule.from ?? -Infinity) &&
    now < (rule.until ?? Infinity)
  );
}

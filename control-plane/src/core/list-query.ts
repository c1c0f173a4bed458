import type { ResourceName } from "./resources.ts";

/** A value as the store compares it. */
export type ComparedValue = string | number | null;

/** A filter whose properties exist and whose literals have the property's type. */
export type Condition =
  | { readonly kind: "and" | "or"; readonly operands: readonly Condition[] }
  | { readonly kind: "not"; readonly operand: Condition }
  | {
      readonly kind: "compare";
      readonly property: string;
      readonly operator: "eq" | "ne" | "gt" | "ge" | "lt" | "le";
      readonly value: ComparedValue;
    }
  | { readonly kind: "startswith" | "contains"; readonly property: string; readonly text: string };

export interface Order {
  readonly property: string;
  readonly isDescending: boolean;
}

/** One page of a resource, for the store. */
export interface ListQuery {
  readonly resource: ResourceName;
  readonly condition?: Condition;
  /** Ends with `id`, so that no two rows are equal. */
  readonly order: readonly Order[];
  /** The sort values of the last row already shown, one for each of `order`. */
  readonly after?: readonly ComparedValue[];
  readonly top: number;
}

export type ListedRow = Readonly<Record<string, ComparedValue>>;

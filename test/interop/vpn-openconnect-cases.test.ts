import { expect, test } from "vitest";
import { AXES, CASES, type OpenconnectCase } from "../vpn-lab/openconnect-cases.ts";

type Axis = keyof OpenconnectCase;

const names = Object.keys(AXES) as Axis[];
const pairsOfAxes = names.flatMap((one, index) =>
  names.slice(index + 1).map((other) => ({ one, other })),
);

test.for(pairsOfAxes)(
  "every value of $one meets every value of $other in a case of the stock client",
  ({ one, other }) => {
    const met = new Set(CASES.map((of) => `${of[one]} and ${of[other]}`));
    const all = AXES[one].flatMap((value) =>
      AXES[other].map((another) => `${value} and ${another}`),
    );
    expect(all.filter((pair) => !met.has(pair))).toEqual([]);
  },
);

test("there is no case that the largest two axes do not need", () => {
  expect(CASES.length).toBe(AXES.authentication.length * AXES.udp.length);
});

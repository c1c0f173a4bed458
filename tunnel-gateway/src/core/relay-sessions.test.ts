import { beforeEach, expect, test } from "vitest";
import { RelaySessions } from "./relay-sessions.ts";

const MINUTE = 60_000;
const START = 1_000_000;

let now: number;
let told: unknown[];
let sessions: RelaySessions;

beforeEach(() => {
  now = START;
  told = [];
  sessions = new RelaySessions(
    { now: () => now },
    {
      began: (session) => told.push(["began", session]),
      ended: (session) => told.push(["ended", session]),
    },
  );
});

const open = (deviceId: string) => sessions.opened({ deviceId, userPrincipalName: "ada" });
const close = (deviceId: string) => sessions.closed({ deviceId, bytesUp: 10, bytesDown: 100 });
const began = (deviceId: string) => ["began", { deviceId, userPrincipalName: "ada", beganAt: now }];

test("a session begins with a device's first connection and goes on with its others", () => {
  open("laptop");
  close("laptop");
  now += 9 * MINUTE;
  sessions.sweep();
  open("laptop");
  expect(told).toEqual([
    ["began", { deviceId: "laptop", userPrincipalName: "ada", beganAt: START }],
  ]);
});

test("a session ends where there was no connection for ten minutes, as of the last one's end", () => {
  open("laptop");
  open("laptop");
  close("laptop");
  now += 30 * MINUTE;
  sessions.sweep();
  close("laptop");
  const endedAt = now;
  now += 10 * MINUTE;
  told.length = 0;
  sessions.sweep();
  sessions.sweep();
  const counts = { connections: 2, bytesUp: 20, bytesDown: 200 };
  expect(told).toEqual([["ended", { deviceId: "laptop", endedAt, ...counts }]]);
  open("laptop");
  expect(told.at(-1)).toEqual(began("laptop"));
});

test("all end with the gateway, and what closes afterwards is of none", () => {
  open("laptop");
  open("phone");
  close("phone");
  now += MINUTE;
  told.length = 0;
  sessions.end();
  close("laptop");
  sessions.end();
  expect(told).toMatchObject([
    ["ended", { deviceId: "laptop", endedAt: now, bytesUp: 0 }],
    ["ended", { deviceId: "phone", endedAt: START, bytesUp: 10 }],
  ]);
});

test("no more devices are remembered than there is room for", () => {
  for (let device = 0; device < 100_001; device++) open(`device-${device}`);
  expect(told.length).toBe(100_000);
  close("device-100000");
  close("device-0");
  now += 10 * MINUTE;
  sessions.sweep();
  open("device-100000");
  expect(told.at(-1)).toEqual(began("device-100000"));
});

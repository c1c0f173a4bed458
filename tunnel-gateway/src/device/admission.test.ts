import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { Admission } from "./admission.ts";

function from(remoteAddress: string): Socket {
  return Object.assign(new EventEmitter(), { remoteAddress }) as Socket;
}

test("places are bounded in all, and given back once", () => {
  const admission = new Admission({ pending: 2, pendingPerAddress: 2 });
  const first = admission.enter(from("192.0.2.1"));
  expect(admission.enter(from("192.0.2.2"))).toBeDefined();
  expect(admission.enter(from("192.0.2.3"))).toBeUndefined();
  first?.release();
  first?.release();
  expect(admission.pending).toBe(1);
  expect(admission.enter(from("192.0.2.3"))).toBeDefined();
});

test("a socket that closes gives its place back", () => {
  const admission = new Admission({ pending: 1, pendingPerAddress: 1 });
  const socket = from("192.0.2.1");
  admission.enter(socket);
  socket.emit("close");
  expect(admission.pending).toBe(0);
  expect(admission.enter(from("192.0.2.1"))).toBeDefined();
});

test("one address has a share of the places; a /64 of IPv6 is one address", () => {
  const admission = new Admission({ pending: 20, pendingPerAddress: 1 });
  expect(admission.enter(from("192.0.2.1"))).toBeDefined();
  expect(admission.enter(from("192.0.2.1"))).toBeUndefined();
  expect(admission.enter(from("192.0.2.2"))).toBeDefined();
  expect(admission.enter(from("2001:db8:0:1::5"))).toBeDefined();
  expect(admission.enter(from("2001:db8:0:1:9::6"))).toBeUndefined();
  expect(admission.enter(from("2001:db8:0:2::5"))).toBeDefined();
  // The longest row of zeros is left out, wherever it is.
  expect(admission.enter(from("2001:0:0:3:1::"))).toBeDefined();
  expect(admission.enter(from("2001::3:1:2:3:4"))).toBeUndefined();
  expect(admission.enter(from("2001::4:1:2:3:4"))).toBeDefined();
  expect(admission.enter(from("::ffff:192.0.2.9"))).toBeDefined();
  expect(admission.enter(from("::ffff:192.0.2.8"))).toBeDefined();
});

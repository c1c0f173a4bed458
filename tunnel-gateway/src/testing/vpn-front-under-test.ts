import type { ConnectRequest } from "../device/connect-front.ts";
import { VpnFront } from "../device/vpn-front.ts";
import type { VpnSite } from "../device/vpn-static-pages.ts";
import { engineConnection, FakeVpnConnections } from "./fake-vpn-connections.ts";
import { FakeVpnService } from "./fake-vpn-service.ts";
import { request } from "./vpn-requests.ts";

export const REQUEST_TIMEOUT_MS = 30_000;
export const RELAYED_PER_ADDRESS = 2;

const site: VpnSite = {
  certificate: Buffer.from("server"),
  issuer: undefined,
  certificateHash: "aa01",
  profile: { file: "corp.xml", hash: "bb02", xml: Buffer.from("<profile/>") },
};

/** A front over an engine and a service in memory, with what it told. */
export class VpnFrontUnderTest implements Disposable {
  readonly engine = new FakeVpnConnections();
  readonly service = new FakeVpnService();
  readonly refused: string[] = [];
  readonly faults: unknown[] = [];
  readonly relayed: ConnectRequest[] = [];
  udpPort: number | undefined = 4_433;
  readonly front = new VpnFront({
    engine: this.engine,
    service: this.service,
    site: () => site,
    udpPort: () => this.udpPort,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    limits: { pending: 10, pendingPerAddress: RELAYED_PER_ADDRESS },
    onRelay: (one) => void this.relayed.push(one),
    onMalformed: (code) => void this.refused.push(code),
    onFault: (error) => void this.faults.push(error),
  });

  [Symbol.dispose](): void {
    this.front[Symbol.dispose]();
  }

  /** Sends bytes on a connection, the first of which is opened here, and awaits an answer. */
  async ask(bytes: Buffer, id = 1) {
    if (id === 1 && this.front.open === 0) this.front.opened(engineConnection());
    this.front.bytes(id, bytes);
    return await this.engine.answer(id);
  }
}

export function get(path: string, ...fields: string[]): Buffer {
  return request(`GET ${path} HTTP/1.1`, ["Host: vpn.example", ...fields]);
}

/** The `Set-Cookie` fields of an answer. */
export function cookiesOf(head: string): string[] {
  return head.split("\r\n").flatMap((line) => /^Set-Cookie: (.*)$/.exec(line)?.[1] ?? []);
}

/** An element of an answer as it stands there, such as what clients send back unread. */
export function elementOf(body: string, name: string): string {
  return new RegExp(`<${name}[ >].*</${name}>`).exec(body)?.[0] ?? "";
}

import type { AccessLines } from "../core/access-log.ts";
import type { JudgedPacket, VpnObserver } from "../core/vpn/vpn-ports.ts";
import type { VpnSession } from "../core/vpn/vpn-session.ts";
import type { GatewayKernel } from "./gateway-kernel.ts";
import type { StrangerLog } from "./stranger-log.ts";
import type { VpnMetrics } from "./vpn-metrics.ts";

/** Writes the access log of the VPN and counts; bans go to the audit, as sessions do with their rows in the store. */
export function vpnObserver(options: {
  readonly kernel: GatewayKernel;
  readonly metrics: VpnMetrics;
  readonly strangers: StrangerLog;
  /** The access log. */
  readonly log: AccessLines;
}): VpnObserver {
  const { kernel, metrics, strangers, log } = options;
  const audit = (event: string, payload: Readonly<Record<string, unknown>>) => {
    kernel.store
      .run("recordAudit", { at: kernel.clock.now(), event, payload })
      .catch((error: unknown) => kernel.log.error({ err: error }, "audit.failed"));
  };
  return {
    loginRefused({ refusal, ...login }) {
      const { code, rule, message: reason, detail } = refusal;
      metrics.logins.inc({ outcome: login.isBanned ? "banned" : code });
      // An attempt costs its address points, and all else nothing.
      const lines = login.isAttempt ? log : strangers;
      const told = { ...login, code, rule, reason, ...(detail !== undefined && { detail }) };
      lines.info(told, "vpn.login-refused", login.remoteAddress);
    },
    loginAccepted(session) {
      metrics.logins.inc({ outcome: "accepted" });
      log.info({ ...who(session), remoteAddress: session.remoteAddress }, "vpn.login");
    },
    banned({ kind, key, until }) {
      metrics.bans.inc({ kind });
      log.warn({ kind, key, until }, "vpn.banned");
      audit("vpn.banned", { kind, key, until });
    },
    connectRefused({ code, rule, message: reason }, session, remoteAddress) {
      metrics.connects.inc({ outcome: code });
      const lines = session ? log : strangers;
      lines.info(
        { ...(session && who(session)), remoteAddress, code, rule, reason },
        "vpn.connect-refused",
        remoteAddress,
      );
    },
    connected(session, isReturn) {
      metrics.connects.inc({ outcome: isReturn ? "again" : "new" });
      metrics.offers.inc({ dtls: session.wasOfferedDtls ? "offered" : "not-offered" });
      const { remoteAddress, place, told } = session;
      log.info({ ...who(session), remoteAddress, ...place, mtu: told?.mtu }, "vpn.connected");
    },
    disconnected(session, reason) {
      log.info({ ...who(session), reason }, "vpn.disconnected");
    },
    dtlsUp(session, cipher) {
      log.info({ ...who(session), cipher }, "vpn.dtls-up");
    },
    dtlsDown(session, reason) {
      log.info({ ...who(session), reason }, "vpn.dtls-down");
    },
    ended(session, end, refusal) {
      metrics.ended.inc({ reason: end });
      const cut = refusal && { code: refusal.code, by: refusal.rule, message: refusal.message };
      if (refusal) metrics.cut.inc({ code: refusal.code });
      const how = { end, ...session.carried, openedAt: session.openedAt };
      log.info({ ...who(session), ...how, ...(cut ? { cut } : {}) }, "vpn.ended");
    },
    allowed(session, opening, untold) {
      const more = untold > 0 ? { untold } : {};
      log.info({ ...who(session), ...judged(opening), ...more }, "vpn.allowed");
    },
    denied(session, packet) {
      metrics.denied.inc();
      log.info({ ...who(session), ...judged(packet) }, "vpn.denied");
    },
    failed(event, error) {
      log.error({ err: error }, `vpn.${event}-failed`);
    },
  };
}

/** A port of 0 is none, as in ICMP. */
function judged({ rule, protocol, address, port }: JudgedPacket) {
  const host = address.includes(":") && port > 0 ? `[${address}]` : address;
  return { rule, protocol, destination: port > 0 ? `${host}:${port}` : host };
}

function who(session: VpnSession) {
  const { id, group, deviceId, userPrincipalName } = session;
  return { sessionId: id, userPrincipalName, deviceId, group };
}

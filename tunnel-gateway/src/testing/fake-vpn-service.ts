import type { AuthenticatorPage, AuthenticatorPageRequest } from "../core/authenticator.ts";
import type {
  LoginAnswer,
  LoginRequest,
  TunnelAnswer,
  TunnelRequest,
  TunnelSettings,
  VpnService,
} from "../core/vpn/vpn-service-port.ts";

export const tunnelSettings: TunnelSettings = {
  sessionId: 7,
  ipv4: { address: "10.9.0.7", netmask: "255.255.255.0" },
  ipv6: undefined,
  mtu: 1_434,
  dnsServers: ["10.0.0.53"],
  defaultDomain: "corp.example",
  splitDns: [],
  tunnelAllDns: true,
  routesInclude: [],
  routesExclude: [],
  bypassesMissingFamily: false,
  banner: undefined,
  dpdSeconds: 90,
  keepaliveSeconds: 300,
  idleSeconds: 0,
  sessionSeconds: 86_400,
  sessionSecondsLeft: 86_400,
  disconnectedSeconds: 3_600,
  rekeySeconds: 86_400,
  dtls: undefined,
};

export const passwordForm: Extract<LoginAnswer, { kind: "form" }> = {
  kind: "form",
  opaque: "h4ndle",
  message: "Please log in.",
  fields: [
    { name: "username", label: "User name:", kind: "text" },
    { name: "password", label: "Password:", kind: "password" },
  ],
  groups: [],
  group: "staff",
};

/** Answers what it is told to, and remembers what it was asked. */
export class FakeVpnService implements VpnService {
  readonly begun: LoginRequest[] = [];
  readonly answered: { opaque: string; fields: Record<string, string>; request: LoginRequest }[] =
    [];
  readonly connects: TunnelRequest[] = [];
  readonly logouts: string[] = [];
  readonly pages: { authenticator: string; request: AuthenticatorPageRequest }[] = [];
  onBegin: (request: LoginRequest) => LoginAnswer | Promise<LoginAnswer> = () => passwordForm;
  onAnswer: LoginAnswer = { kind: "accepted", cookie: "t0k", userName: "alice", group: "staff" };
  onConnect: TunnelAnswer | ((request: TunnelRequest) => TunnelAnswer) = {
    kind: "connected",
    tunnel: tunnelSettings,
  };
  onPage: AuthenticatorPage | undefined;
  /** Aborted where the connection went while the answer was waited for. */
  signal: AbortSignal | undefined;

  readonly login: VpnService["login"] = {
    begin: async (request, signal) => {
      this.signal = signal;
      this.begun.push(request);
      return await this.onBegin(request);
    },
    answer: async (opaque, fields, request) => {
      this.answered.push({ opaque, fields: Object.fromEntries(fields), request });
      return this.onAnswer;
    },
  };

  async connect(request: TunnelRequest): Promise<TunnelAnswer> {
    this.connects.push(request);
    return typeof this.onConnect === "function" ? this.onConnect(request) : this.onConnect;
  }

  async logout(cookie: string): Promise<void> {
    this.logouts.push(cookie);
  }

  async page(
    authenticator: string,
    request: AuthenticatorPageRequest,
  ): Promise<AuthenticatorPage | undefined> {
    this.pages.push({ authenticator, request });
    return this.onPage;
  }
}

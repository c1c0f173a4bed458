import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  DEVICE_ID,
  makeTlsCertificates,
  SERVER_NAME,
  type TlsCertificates,
} from "@isthmus/bench/fixtures/tls-certificates";
import { hashPassword } from "@isthmus/tunnel-gateway/directory/password-hash";
import type { OidcSimulatorOptions } from "../simulators/oidc/oidc-simulator.ts";
import { type GatewayOptions, type LabGateway, runLabGateway, startLabGateway } from "./gateway.ts";
import { blockUdp } from "./hotel.ts";
import { endChild, LAB, Lab, type Machine } from "./namespaces.ts";
import { startPayloadServer } from "./traffic.ts";
import {
  LDAP_ACCOUNT,
  PASSWORDS,
  RADIUS_SECRET,
  startFreeradius,
  startSlapd,
} from "./user-servers.ts";

const ISSUER_PORT = 9_000;
const OIDC_SECRET = "the client's secret";
const DPD_SECONDS = 5;
export const TOTP_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/** Of the file of users, all with one password. */
export const USER = "alice@example.com";
/** The same, with one-time passwords: each may log in once in half a minute, for none is good twice. */
export const TOTP_USERS = ["dave@example.com", "erin@example.com", "frank@example.com"] as const;
const OIDC_USER = "olivia@example.com";
/** Other addresses of the gateway, to which UDP vanishes on its way, as from many hotels. */
export const HOTEL = { ipv4: "10.99.1.9", ipv6: "fd99:1::9" } as const;

/** A lab whose gateway has a group for every way to log in, with the servers behind them. */
export class LoginScene implements AsyncDisposable {
  readonly folder: string;
  readonly lab: Lab;
  readonly certificates: TlsCertificates;
  readonly #resources = new AsyncDisposableStack();
  #options: GatewayOptions | undefined;
  #gateway: LabGateway | undefined;

  private constructor(folder: string, lab: Lab, certificates: TlsCertificates) {
    this.folder = folder;
    this.lab = lab;
    this.certificates = certificates;
    this.#resources.defer(() => rmSync(folder, { recursive: true, force: true }));
    this.#resources.use(lab);
  }

  /** `prefix` as of `Lab.make`. */
  static async make(prefix: string): Promise<LoginScene> {
    const folder = mkdtempSync(join(tmpdir(), "isthmus-vpn-"));
    chmodSync(folder, 0o755);
    const certificates = await makeTlsCertificates(folder);
    const scene = new LoginScene(folder, await Lab.make(prefix), certificates);
    try {
      await scene.#start();
      return scene;
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
  }

  get gateway(): LabGateway {
    if (!this.#gateway) throw new Error("the gateway does not run");
    return this.#gateway;
  }

  /** Ends the gateway by SIGKILL and starts it again on what it left. */
  async killAndRestart(): Promise<void> {
    if (!this.#options) throw new Error("the gateway never ran");
    const { configurationFile } = this.gateway;
    await this.gateway.kill();
    this.#gateway = await runLabGateway(this.lab, this.#options, configurationFile);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  async #start(): Promise<void> {
    const { ipv4, ipv6 } = HOTEL;
    await this.lab.ip("gateway", `addr add ${ipv4}/24 dev outside`);
    await this.lab.ip("gateway", `addr add ${ipv6}/64 dev outside nodad`);
    await blockUdp(this.lab, HOTEL);
    this.#resources.use(await startPayloadServer(this.lab));
    await this.#startUserServers();
    this.#options = await this.#gatewayOptions();
    this.#gateway = await startLabGateway(this.lab, this.#options);
    this.#resources.defer(() => this.#gateway?.[Symbol.asyncDispose]());
  }

  #file(name: string): string {
    return join(this.folder, name);
  }

  #secret(name: string, content: string): string {
    writeFileSync(this.#file(name), content, { mode: 0o600 });
    return this.#file(name);
  }

  async #startUserServers(): Promise<void> {
    const at = (machine: Machine, name: string, address: string, port: number) => ({
      folder: this.#file(name),
      address,
      port,
      launch: (words: readonly string[]) => this.lab.start(machine, words),
      run: (words: readonly string[]) => this.lab.run(machine, words),
    });
    const { server } = this.certificates;
    // Its certificate is for localhost.
    this.#resources.use(await startSlapd(at("gateway", "slapd", "127.0.0.1", 636), server));
    const radius = at("internal", "freeradius", LAB.internal.ipv4, 1_812);
    this.#resources.use(await startFreeradius(radius));
    await this.#startProvider();
  }

  /** The OpenID provider, where the client's browser and the gateway both reach it. */
  async #startProvider(): Promise<void> {
    const options: OidcSimulatorOptions = {
      address: LAB.gateway.ipv4,
      port: ISSUER_PORT,
      clientId: "vpn",
      clientSecret: OIDC_SECRET,
      user: { preferred_username: OIDC_USER, groups: ["staff"] },
    };
    const program = fileURLToPath(new URL("../simulators/oidc/oidc-process.ts", import.meta.url));
    const words = [process.execPath, program, JSON.stringify(options)];
    const child = this.lab.start("gateway", words);
    this.#resources.defer(() => endChild(child));
    await once(child.stdout ?? child, "data");
  }

  async #gatewayOptions(): Promise<GatewayOptions> {
    const group = (name: string, ...authentication: string[]) => ({
      name,
      authentication: [authentication],
      requireDevice: authentication[0] === "certificate",
      routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
      sessionsPerUser: 100,
      timeouts: { dpdSeconds: DPD_SECONDS },
    });
    return {
      folder: this.#file("gateway"),
      ...this.certificates.server,
      deviceCaFile: this.certificates.caFile,
      port: 443,
      deviceIds: [DEVICE_ID],
      groups: [
        group("certificate", "certificate"),
        group("password", "users"),
        group("totp", "users", "totp"),
        group("ldap", "corporate"),
        group("radius", "radius"),
        group("oidc", "oidc"),
      ],
      vpn: { authenticators: await this.#authenticators() },
    };
  }

  async #authenticators() {
    const passwordHash = await hashPassword(PASSWORDS.alice, Buffer.alloc(16, 5));
    const names = [USER, ...TOTP_USERS];
    const users = {
      users: names.map((userName) => ({ userName, passwordHash, groups: ["staff"] })),
    };
    const secrets = Object.fromEntries(TOTP_USERS.map((name) => [name, TOTP_SECRET]));
    return {
      users: { type: "users", file: this.#secret("users.json", JSON.stringify(users)) },
      totp: { type: "totp", file: this.#secret("totp.json", JSON.stringify({ secrets })) },
      corporate: {
        type: "ldap",
        url: `ldaps://${SERVER_NAME}`,
        caFile: this.certificates.caFile,
        ...LDAP_ACCOUNT,
        passwordFile: this.#secret("ldap-password", PASSWORDS.admin),
        userFilter: "(|(mail={user})(uid={user}))",
        userNameAttribute: "mail",
      },
      radius: {
        type: "radius",
        servers: [{ host: LAB.internal.ipv4 }],
        secretFile: this.#secret("radius-secret", RADIUS_SECRET),
      },
      oidc: {
        type: "oidc",
        issuer: `http://${LAB.gateway.ipv4}:${ISSUER_PORT}`,
        clientId: "vpn",
        clientSecretFile: this.#secret("oidc-secret", OIDC_SECRET),
      },
    };
  }
}

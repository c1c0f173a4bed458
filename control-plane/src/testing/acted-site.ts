import type { SignedCommand } from "@isthmus/shared/link/messages";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { ConnectorFixture } from "../main/connector-fixture.ts";
import { type ApiClient, ControlPlaneFixture } from "../main/control-plane-fixture.ts";
import { siteRecords } from "./action-fixture.ts";
import { recordsOf } from "./inventory-fixture.ts";

/** For tests: a control plane with a site CM1 whose bridge does what it is told to say. */

export const SITE = "/configurationManagerSites/CM1";

export class ActedSite implements AsyncDisposable {
  readonly plane: ControlPlaneFixture;
  readonly admin: ApiClient;
  readonly bridge: ConnectorFixture;
  /** Id in the API of the first device. */
  readonly deviceId: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    of: Pick<ActedSite, "plane" | "admin" | "bridge" | "deviceId">,
    resources: AsyncDisposableStack,
  ) {
    this.plane = of.plane;
    this.admin = of.admin;
    this.bridge = of.bridge;
    this.deviceId = of.deviceId;
    this.#resources = resources;
  }

  static async start(): Promise<ActedSite> {
    const resources = new AsyncDisposableStack();
    const folder = resources.use(temporaryFolder());
    const plane = resources.use(await ControlPlaneFixture.start(folder.path));
    const admin = await plane.client();
    const bridge = resources.use(await ConnectorFixture.enrol(plane, admin, "comgmt-bridge"));
    await bridge.connect();
    const { lease } = await bridge.lease("CM1", "configmgr");
    await bridge.inventory(recordsOf(lease, ...siteRecords()));
    const deviceId = await until(async () => {
      const { value } = await admin.get("/managedDevices?$filter=deviceName%20eq%20'PC0'");
      return value[0]?.id as string | undefined;
    }, "the first device");
    return new ActedSite({ plane, admin, bridge, deviceId }, resources);
  }

  /** Path of the first device. */
  get device(): string {
    return `/managedDevices/${this.deviceId}`;
  }

  /** The lease ends by itself after a minute. */
  async holdLease(): Promise<void> {
    await this.bridge.lease("CM1", "configmgr");
  }

  commandOf(commandId: string): Promise<SignedCommand> {
    const found = () => this.bridge.commands.find((each) => each.id === commandId);
    return until(found, `command ${commandId}`);
  }

  operation(operationId: string) {
    return this.admin.get(`${SITE}/clientOperations/${operationId}`);
  }

  reaches(operationId: string, state: string) {
    return until(async () => {
      const found = await this.operation(operationId);
      return found.state === state ? found : undefined;
    }, `${state} of ${operationId}`);
  }

  progress(commandId: string, key: string, state: "running" | "succeeded" | "failed", more = {}) {
    return this.bridge.actions({
      ...{ type: "progress", source: "CM1", commandId, at: Date.now() },
      devices: [{ key, state, ...more }],
    });
  }

  rows(commandId: string, key: string, values: Record<string, unknown>[]) {
    return this.bridge.actions({
      ...{ type: "rows", source: "CM1", commandId, at: Date.now() },
      ...{ key, rows: values, isTruncated: false },
    });
  }

  /** The site has taken what a command asked for. */
  taken(commandId: string, devices: number) {
    const result = { source: "CM1", devices };
    return this.bridge.report({ id: commandId, state: "succeeded", result });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

import { until } from "@isthmus/shared/testing/until";
import { DEMO_SCRIPT_SHA256, DEMO_SITE } from "../process/configuration-manager.ts";
import { expect, type Step } from "./story.ts";

const WITHIN_MS = 60_000;
const SITE_PATH = `/configurationManagerSites/${DEMO_SITE.siteCode}`;
/** The device that something happens to. */
const RESOURCE_ID = DEMO_SITE.firstResourceId + 7;

interface Page {
  readonly "@odata.count"?: number;
  readonly value: readonly { readonly id: string; readonly deviceName: string }[];
}

/** What the bridge is for: devices in the cloud, a change, an action and its result. */
export const siteSteps: readonly Step[] = [
  {
    name: "devices of the Configuration Manager site in the cloud",
    async run({ suite }) {
      const graph = await suite.graph();
      const filter = encodeURIComponent(`configurationManagerSite eq '${DEMO_SITE.siteCode}'`);
      const path = `/managedDevices?$filter=${filter}&$count=true&$top=1`;
      const count = async () => (await graph.get<Page>(path))["@odata.count"] ?? 0;
      await until(async () => (await count()) >= DEMO_SITE.devices, "every device", WITHIN_MS);
      expect((await count()) === DEMO_SITE.devices, "there are more devices than the site has");
      return `${DEMO_SITE.devices} of site ${DEMO_SITE.siteCode}`;
    },
  },
  {
    name: "a hardware scan at the site seen in the device's timeline",
    async run({ suite }) {
      const site = await suite.openConfigurationManager();
      const graph = await suite.graph();
      const filter = encodeURIComponent(`configurationManagerKey eq '${RESOURCE_ID}'`);
      const found = await graph.list<Page["value"][number]>(`/managedDevices?$filter=${filter}`);
      const [device] = found;
      if (device === undefined) throw new Error(`there is no device ${RESOURCE_ID}`);
      await site.ask("change", { kind: "inventory", resourceId: RESOURCE_ID });
      const began = performance.now();
      await until(
        async () => {
          const events = await graph.get<{ value: readonly { kind: string }[] }>(
            `/managedDevices/${device.id}/timeline`,
          );
          return events.value.some(({ kind }) => kind === "inventory.changed");
        },
        "the change in the timeline",
        WITHIN_MS,
      );
      const seconds = ((performance.now() - began) / 1_000).toFixed(1);
      return `${device.deviceName}, after ${seconds} s`;
    },
  },
  {
    name: "an approved script run on a device, its output back",
    async run({ suite }) {
      const graph = await suite.graph();
      const { guid } = DEMO_SITE.script;
      const asked = await graph.post<{ id: string }>(`${SITE_PATH}/scripts/${guid}/run`, {
        target: { resourceIds: [RESOURCE_ID] },
        ...{ version: "1", sha256: DEMO_SCRIPT_SHA256 },
      });
      const path = `${SITE_PATH}/clientOperations/${asked.id}`;
      let output = "";
      await until(
        async () => {
          const { state, reason } = await graph.get<{ state: string; reason?: string }>(path);
          expect(!/^(failed|refused|unknown|expired)$/.test(state), `${state}: ${reason}`);
          const results = await graph.list<{ output: string | null }>(`${path}/scriptResults`);
          output = results[0]?.output ?? "";
          return state === "completed" && output !== "";
        },
        "the script's output",
        WITHIN_MS,
      );
      return `"${output.trim()}"`;
    },
  },
];

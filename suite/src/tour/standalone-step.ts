import { join } from "node:path";
import { DEMO } from "../configurations.ts";
import { enrol, newDeviceKey } from "../device/scep-device.ts";
import { layoutOf } from "../layout.ts";
import { freePorts } from "../ports.ts";
import { challengeStandalone, setUpStandalone } from "../standalone.ts";
import { Suite } from "../suite.ts";
import type { Step } from "./story.ts";
import { fetchPage } from "./tunnel-steps.ts";

export const standaloneStep: Step = {
  name: "the same enrolment and page in standalone mode",
  async run({ folder }) {
    const layout = layoutOf(join(folder, "standalone"));
    await using suite = new Suite({ layout, ports: await freePorts() });
    await suite.openSite();
    await setUpStandalone(suite);
    const challenge = await challengeStandalone(suite);
    const server = await suite.scepServer();
    const privateKey = await newDeviceKey();
    const subject = `CN=${DEMO.deviceId}`;
    const identity = await enrol(server, { subject, challenge, privateKey });
    const page = await fetchPage(suite, identity);
    return `no control plane; ${page}`;
  },
};

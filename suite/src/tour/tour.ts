import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "@isthmus/shared/errors";
import { layoutOf } from "../layout.ts";
import type { Output } from "../output.ts";
import { freePorts } from "../ports.ts";
import { setUp } from "../set-up.ts";
import { Suite } from "../suite.ts";
import { certificateSteps } from "./certificate-steps.ts";
import { auditStep, faultSteps } from "./fault-steps.ts";
import { siteSteps } from "./site-steps.ts";
import { standaloneStep } from "./standalone-step.ts";
import type { Step, Story } from "./story.ts";
import { tunnelSteps } from "./tunnel-steps.ts";

const STEPS: readonly Step[] = [
  {
    name: "suite set up: own authorities, three connectors enrolled",
    async run({ suite }) {
      await suite.openSite();
      await setUp(suite);
      return `control plane on ${suite.ports.controlPlane}`;
    },
  },
  ...certificateSteps,
  ...tunnelSteps,
  ...siteSteps,
  ...faultSteps,
  standaloneStep,
  auditStep,
];

/** Plays every step in a temporary folder on free ports, beside whatever runs. Returns whether all passed. */
export async function tour(output: Output, isKept: boolean, signal: AbortSignal): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-tour-"));
  const layout = layoutOf(join(folder, "suite"));
  const began = performance.now();
  let hasPassed = false;
  {
    await using suite = new Suite({ layout, ports: await freePorts() });
    hasPassed = await play({ suite, folder }, output, signal);
  }
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  const verdict = hasPassed ? `All ${STEPS.length} steps passed` : "The tour failed";
  output.say("tour-ended", `${verdict} in ${seconds} s.`, { passed: hasPassed, seconds });
  if (hasPassed && !isKept) rmSync(folder, { recursive: true, force: true });
  else output.say("tour-folder", `Logs: ${layout.logs}`, { folder });
  return hasPassed;
}

async function play(story: Story, output: Output, signal: AbortSignal): Promise<boolean> {
  for (const [index, step] of STEPS.entries()) {
    if (signal.aborted) return false;
    const began = performance.now();
    const time = () => `${((performance.now() - began) / 1_000).toFixed(2)} s`.padStart(8);
    const fields = { step: index + 1, of: STEPS.length, name: step.name };
    try {
      const detail = await step.run(story);
      const ms = Math.round(performance.now() - began);
      output.say("step-passed", `ok   ${time()}  ${step.name}: ${detail}`, {
        ...fields,
        ms,
        detail,
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const code = codeOf(error);
      output.say("step-failed", `FAIL ${time()}  ${step.name}: ${message}`, {
        ...fields,
        code,
        message,
      });
      return false;
    }
  }
  return true;
}

import { accessSync, constants } from "node:fs";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { AgentSource, type AgentSourceParts } from "../agents/agent-source.ts";
import type { AgentsConfiguration } from "../config/agents.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const NAME = "agents";

/** The folder of inventory documents that the local configuration names. */
export function agentSource(of: AgentsConfiguration, parts: AgentSourceParts): AgentSource {
  const settings = {
    ...{ name: of.name, folder: of.folder, limits: of.limits },
    maxAgeMs: of.maxAgeDays * DAY_MS,
    everyMs: of.everySeconds * 1_000,
    scanMs: of.scanMinutes * MINUTE_MS,
    settleMs: of.settleSeconds * 1_000,
    incompleteMs: of.incompleteMinutes * MINUTE_MS,
  };
  return new AgentSource(settings, parts);
}

/** What a running bridge knows of the folder; undefined as long as it does not read it. */
export function agentHealth(source: () => AgentSource | undefined): HealthCheck {
  return {
    name: NAME,
    run: () => {
      const state = source()?.state;
      if (state?.failure !== undefined) {
        const remedy = "mount the folder again, and let the service's user read it";
        return { status: "unhealthy", reason: state.failure.message, remedy };
      }
      if (state?.lastLookAt === undefined) {
        return { status: "healthy", reason: "the folder is not read by this bridge as yet" };
      }
      const reason = `devices with a document: ${state.devices}`;
      if (state.stuck === 0) return { status: "healthy", reason };
      return {
        status: "warning",
        reason: `${reason}; ${state.stuck} faulty files cannot be put away`,
        remedy: "let the service's user write to the folder, and empty its folder rejected",
      };
    },
  };
}

/** For `check`: whether the folder can be read, and faulty files put away. */
export function agentChecks({ folder }: AgentsConfiguration): HealthCheck {
  const may = (mode: number) => {
    try {
      accessSync(folder, mode);
      return true;
    } catch {
      return false;
    }
  };
  return {
    name: NAME,
    run: (): CheckResult => {
      if (!may(constants.R_OK | constants.X_OK)) {
        return {
          status: "unhealthy",
          reason: `the folder ${folder} cannot be read`,
          remedy: "make it, and let the service's user read it",
        };
      }
      if (may(constants.W_OK)) return { status: "healthy", reason: `${folder} can be read` };
      return {
        status: "warning",
        reason: `the folder ${folder} may not be written to, so faulty files stay in it`,
        remedy: "let the service's user write to it",
      };
    },
  };
}

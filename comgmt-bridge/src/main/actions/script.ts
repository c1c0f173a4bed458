import { createHash } from "node:crypto";
import type { siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import { randomGuid } from "@isthmus/shared/random";
import type { z } from "zod";
import {
  judgeFoundScript,
  judgeScript,
  scriptArguments,
} from "../../core/actions/script-judgement.ts";
import { scriptRequest } from "../../protocol/admin-service/action-requests.ts";
import { writeScriptContent } from "../../protocol/admin-service/script-content.ts";
import {
  readParamsDefinition,
  storedBytes,
} from "../../protocol/admin-service/script-definition.ts";
import type { ActionParts } from "./action-parts.ts";
import type { ActionKind } from "./action-runner.ts";

export type ScriptPayload = z.output<(typeof siteCommandPayloads)["site.script"]>;

/**
 * Approved scripts, by version and text. The site's script is read right before the run; what is sent names the version and the
 * hash that were read, which the provider compares with its own.
 */
export function scriptKind(parts: ActionParts): ActionKind<ScriptPayload> {
  const { allowance, matches } = parts;
  return {
    window: () => "site-devices-scripted",
    judge: (payload) => void judgeScript(payload, allowance.scripts, matches),
    async prepare(payload, resourceIds, asking) {
      const rule = judgeScript(payload, allowance.scripts, matches);
      const stored = await parts.site.script(payload.scriptGuid, asking);
      const sha256 = createHash("sha256").update(storedBytes(stored.Script)).digest("hex");
      const defined = readParamsDefinition(stored.ParamsDefinition ?? "");
      const found = {
        ...{ version: stored.ScriptVersion, sha256, approvalState: stored.ApprovalState },
        ...{ author: stored.Author ?? undefined, approver: stored.Approver ?? undefined },
        parameters: defined,
      };
      judgeFoundScript(found, rule);
      const content = writeScriptContent({
        ...{
          scriptGuid: stored.ScriptGuid,
          version: found.version,
          type: stored.ScriptType,
          sha256,
        },
        parameters: scriptArguments(payload.parameters, defined, matches),
        groupGuid: randomGuid(parts.kernel.random),
        hashCase: parts.parameterHashCase,
      });
      return {
        plan: { kind: "script", scriptGuid: rule.scriptGuid, version: found.version },
        resourceIds,
        passedOver: [],
        request: (ids) => scriptRequest(content, ids),
        isOneByOne: false,
      };
    },
  };
}

import { ConnectorError } from "@isthmus/shared/errors";
import type { CliCommand } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { commandHandler } from "@isthmus/shared/kernel/service-definition";
import { commandPayloads } from "@isthmus/shared/link/messages";
import { EXPLANATIONS, explained } from "../core/explanations.ts";
import type { TransactionTrace } from "../core/trace-view.ts";
import { ask } from "./ask-service.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";
import { traceOf } from "./trace-query.ts";
import { traceText } from "./trace-text.ts";

const question = commandPayloads["certificate.trace"];

/** `certificate.trace`, for the control plane and for the command line. */
export function traceService(
  { store }: Pick<CertificateKernel, "store">,
  { traces }: Pick<CertificateConnector, "traces">,
) {
  const run = async (asked: Parameters<typeof traceOf>[1]) => {
    await traces.flush();
    return { traces: await traceOf(store, asked) };
  };
  return {
    command: commandHandler({ payload: question, run }),
    control: (argument: unknown) => run(question.parse(argument)),
  };
}

const trace: CliCommand = {
  name: "trace",
  summary: "show step by step what became of a device's requests, why they failed and what to do",
  options: { config: CONFIG_OPTION },
  positionals: [{ name: "id", summary: "a transaction id, a device id or a serial number" }],
  run: async (call) => {
    const id = call.positionals[0] ?? "";
    const { traces } = (await ask(call.required("config"), "certificate.trace", anyOf(id))) as {
      readonly traces: readonly TransactionTrace[];
    };
    return { text: traceText(traces), value: { traces } };
  },
};

/** Whatever it is the id of. Serial numbers are written with colons by some. */
function anyOf(id: string) {
  const hex = id.toLowerCase().replaceAll(":", "");
  const serialNumber = /^[0-9a-f]{1,42}$/.test(hex) ? hex : undefined;
  return { transactionId: id, deviceId: id, ...(serialNumber !== undefined && { serialNumber }) };
}

const explain: CliCommand = {
  name: "explain",
  summary: "what an error code means and what to do about it; all codes where none is given",
  positionals: [{ name: "code", summary: "as in a log, a trace or an answer", isOptional: true }],
  run: async (call) => {
    const code = call.positionals[0];
    if (code === undefined) {
      const value = Object.entries(EXPLANATIONS).map(([name, [cause, remedy]]) => ({
        code: name,
        cause,
        remedy,
      }));
      return { text: value.map(({ code: name, cause }) => `${name}: ${cause}`).join("\n"), value };
    }
    const found = explained(code);
    if (found === undefined) {
      throw new ConnectorError("code-unknown", `no error of this service has the code "${code}"`);
    }
    const text = `${code}: ${found.cause}\nwhat to do: ${found.remedy}`;
    return { text, value: { code, ...found } };
  },
};

export const traceCommands: readonly CliCommand[] = [trace, explain];

import { RefusalError } from "@isthmus/shared/errors";
import { type CommandHandler, commandHandler } from "@isthmus/shared/kernel/service-definition";
import { commandPayloads } from "@isthmus/shared/link/messages";
import type { DeviceStates } from "../core/device-states.ts";
import type { Enforcement } from "../core/enforcement.ts";

export interface CommandOptions {
  readonly states: DeviceStates;
  readonly enforcement: Enforcement;
  /** Counts cuts against the guardrails' window, whole or not at all. @throws RefusalError */
  readonly consumeCuts: (count: number) => Promise<void>;
  /** Reads every revocation list and answer again. */
  readonly refreshRevocations: () => Promise<void>;
  /** Fetches that failed in the last round, for the command's result. */
  readonly revocationFailures: () => readonly { readonly anchor: string; readonly code: string }[];
}

/**
 * What the cloud may ask of a gateway. An update of device states that would cut more open sessions than the guardrails'
 * window has left is refused whole: nothing of it is stored, and the states age from then on, so that a hostile cloud
 * cannot empty the gateway at a stroke and a refused revocation does not go unnoticed for longer than the grace.
 */
export function gatewayCommands(
  options: CommandOptions,
  // biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads in one record
): Readonly<Record<string, CommandHandler<any>>> {
  const { states, enforcement } = options;
  return {
    "devices.update": commandHandler({
      payload: commandPayloads["devices.update"],
      async judge(update) {
        const { devices, touched } = states.preview(update);
        const sessions = enforcement.previewDevices(devices, touched);
        if (sessions === 0) return;
        try {
          await options.consumeCuts(sessions);
        } catch (error) {
          if (error instanceof RefusalError) {
            const { version } = update;
            await states.noteRefused({ version, rule: error.rule, sessions });
          }
          throw error;
        }
      },
      async run(update) {
        const { isApplied, changed, forgotten } = await states.apply(update);
        const touched = [...changed.map((device) => device.deviceId), ...forgotten];
        const cut = enforcement.devices(touched);
        const { version } = states.source;
        return { isApplied, version, changed: changed.length, forgotten: forgotten.length, cut };
      },
    }),

    "revocation.refresh": commandHandler({
      payload: commandPayloads["revocation.refresh"],
      async run() {
        await options.refreshRevocations();
        const failures = options.revocationFailures().map(({ anchor, code }) => ({ anchor, code }));
        return { failures };
      },
    }),
  };
}

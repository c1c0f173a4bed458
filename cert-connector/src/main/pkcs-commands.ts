import { readFileSync, writeFileSync } from "node:fs";
import {
  type CliCall,
  type CliCommand,
  type CliOption,
  UsageError,
} from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { pfxDelivery } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { ask } from "./ask-service.ts";
import { NAME_OPTIONS, namesIn } from "./name-options.ts";

const REQUEST_ID_OCTETS = 16;

/** Options that say for which device something is, whose key receives it, and where the envelope goes. */
export const DELIVERY_OPTIONS: Readonly<Record<string, CliOption>> = {
  config: CONFIG_OPTION,
  device: { type: "string", valueName: "ID", summary: "the device's id", isRequired: true },
  "recipient-serial": {
    type: "string",
    valueName: "HEX",
    summary: "the serial number of the device's certificate, issued here, whose key receives it",
  },
  "recipient-certificate": {
    type: "string",
    valueName: "PATH",
    summary: "or a certificate (PEM) that the guardrails list under recipients.thumbprints",
  },
  "request-id": {
    type: "string",
    valueName: "ID",
    summary: "the same id again is the same order; a new one where it is not given",
  },
  out: {
    type: "string",
    valueName: "PATH",
    summary: "where the envelope goes (CMS, DER)",
    isRequired: true,
  },
};

/** The parts of an order that `DELIVERY_OPTIONS` give. */
export function deliveryTarget(call: CliCall) {
  return {
    requestId: call.text("request-id") ?? systemRandom.bytes(REQUEST_ID_OCTETS).toString("hex"),
    deviceId: call.required("device"),
    recipient: recipientOf(call),
  };
}

function recipientOf(call: CliCall) {
  const serial = call.text("recipient-serial");
  const file = call.text("recipient-certificate");
  if ((serial === undefined) === (file === undefined)) {
    throw new UsageError("give either --recipient-serial or --recipient-certificate");
  }
  if (serial !== undefined) {
    return { kind: "issued", serialNumber: serial.toLowerCase().replaceAll(":", "") };
  }
  const [der = Buffer.alloc(0)] = pemToDer(readFileSync(file ?? "", "utf8"), "CERTIFICATE");
  return { kind: "listed", certificate: parseCertificate(der).der.toString("base64") };
}

/** Asks the running service for a delivery and writes its envelope. */
export async function takeDelivery(call: CliCall, method: string, order: unknown) {
  const answer = pfxDelivery.parse(await ask(call.required("config"), method, order));
  const { envelope, ...delivery } = answer;
  const out = call.required("out");
  writeFileSync(out, Buffer.from(envelope, "base64"));
  const text = `${out}: certificate ${delivery.serialNumber} for ${delivery.deviceId}. The device opens it with its key:
  openssl cms -decrypt -inform DER -in ${out} -inkey device.key -out delivery.json`;
  return { text, value: { ...delivery, envelopeFile: out } };
}

const issue: CliCommand = {
  name: "issue",
  summary: "make a key and a certificate for a device, and encrypt them to the device's key",
  options: {
    ...DELIVERY_OPTIONS,
    profile: {
      type: "string",
      valueName: "ID",
      summary: "a profile with a pfx section",
      isRequired: true,
    },
    ...NAME_OPTIONS,
  },
  run: (call) =>
    takeDelivery(call, "certificate.pkcs", {
      ...deliveryTarget(call),
      profileId: call.required("profile"),
      ...namesIn(call),
    }),
};

export const pkcsCommands: CliCommand = {
  name: "pkcs",
  summary: "certificates whose keys are made here and delivered as PFX",
  commands: [issue],
};

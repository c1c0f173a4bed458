import { fault, type RawDocument } from "./document-fault.ts";

/** The GLPI agent's JSON. Throws ProtocolError `inventory-document`. */
export function readGlpiJson(text: string): RawDocument {
  const document = parsed(text);
  const { action, deviceid: deviceId, content } = document as Readonly<Record<string, unknown>>;
  if (action !== undefined && action !== "inventory") throw fault("its action is not inventory");
  return { deviceId, content };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw fault("it is no whole JSON document", cause);
  }
}

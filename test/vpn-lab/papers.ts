import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type DeviceAuthority,
  deviceUri,
  issueTo,
  makeDeviceAuthority,
  makeList,
  makeServerIdentity,
  type PemIdentity,
  writeIdentity,
} from "@isthmus/tunnel-gateway/testing/test-certificates";

/** A device of the lab: its id, its certificate as files and as PEM. */
export interface DevicePapers {
  readonly deviceId: string;
  readonly serialNumber: string;
  readonly pem: PemIdentity;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Certificates of a lab: the gateway's own, the devices', and what their CA has revoked. */
export interface LabPapers {
  /** Of the gateway's certificates, those to come too; for clients. */
  readonly serverCaFile: string;
  readonly server: { readonly certificateFile: string; readonly keyFile: string };
  readonly deviceCaFile: string;
  readonly listFile: string;
  readonly devices: readonly DevicePapers[];
  /** Another certificate of the first device's, by the same CA, for such purposes (extended key usage). */
  issueFor(purposes: readonly string[]): Promise<DevicePapers>;
  /** Puts the gateway's other certificate, of two, where this one is. */
  renewServer(): void;
  /** Publishes a list that names these devices. */
  revoke(...devices: readonly DevicePapers[]): Promise<void>;
}

/** Added to the serial number of a device's certificate for that of its other one. */
const OTHERS = 0x100;

/** Makes a CA with a first, empty revocation list, `count` devices, and two certificates of the gateway. */
export async function makeLabPapers(folder: string, count: number): Promise<LabPapers> {
  const authority = await makeDeviceAuthority();
  const [server, nextServer] = [await makeServerIdentity(), await makeServerIdentity()];
  const file = (name: string, content: string | Buffer): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const serverCaFile = file("server-ca.pem", server.certificate + nextServer.certificate);
  const listFile = file("list.crl", await makeList(authority, { number: 1 }));
  let number = 1;
  let present = server;
  return {
    serverCaFile,
    server: writeIdentity(folder, "server", server),
    deviceCaFile: file("device-ca.pem", authority.pem),
    listFile,
    devices: await Promise.all(
      Array.from({ length: count }, (_, index) => makeDevice(folder, authority, index)),
    ),
    issueFor: (purposes) => makeDevice(folder, authority, 0, purposes),
    renewServer() {
      present = present === server ? nextServer : server;
      writeIdentity(folder, "server", present);
    },
    async revoke(...devices) {
      number += 1;
      const serials = devices.map(({ serialNumber }) => serialNumber);
      writeFileSync(listFile, await makeList(authority, { number, serials }));
    },
  };
}

async function makeDevice(
  folder: string,
  authority: DeviceAuthority,
  index: number,
  purposes?: readonly string[],
): Promise<DevicePapers> {
  const deviceId = `device-${index}`;
  const serialNumber = (0x7100 + index + (purposes ? OTHERS : 0)).toString(16);
  const names = [deviceUri(deviceId)];
  const pem = await issueTo(authority, names, { serialNumber, ...(purposes ? { purposes } : {}) });
  const file = purposes ? `${deviceId}-${serialNumber}` : deviceId;
  return { deviceId, serialNumber, pem, ...writeIdentity(folder, file, pem) };
}

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
  /** Puts the gateway's other certificate, of two, where this one is. */
  renewServer(): void;
  /** Publishes a list that names these devices. */
  revoke(...devices: readonly DevicePapers[]): Promise<void>;
}

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
): Promise<DevicePapers> {
  const deviceId = `device-${index}`;
  const serialNumber = (0x7100 + index).toString(16);
  const pem = await issueTo(authority, [deviceUri(deviceId)], { serialNumber });
  return { deviceId, serialNumber, pem, ...writeIdentity(folder, deviceId, pem) };
}

import "./without-ryuk.ts";
import { GenericContainer } from "testcontainers";

const STATE_FOLDER = "/var/lib/isthmus";
const CONFIGURATION_FOLDER = "/etc/isthmus";

/** Where a container of the test finds its things. */
export interface Place {
  /** Name of an internal network, from which nothing outside is reached. */
  readonly network: string;
  /** Name of the volume with its state. */
  readonly volume: string;
  /** A folder of this machine with its configuration, mounted read-only. */
  readonly configuration: string;
}

/**
 * A service's image as deploy/compose.yaml runs it: read-only root, no capability, no new privileges. It is reached by its
 * name on the network.
 */
export class LockedDownContainer extends GenericContainer {
  constructor(image: string, { network, volume, configuration }: Place) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
    this.withNetworkMode(network)
      .withDroppedCapabilities("ALL")
      .withSecurityOpt("no-new-privileges:true")
      .withTmpFs({ "/tmp": "rw,size=16m" })
      .withBindMounts([
        { source: configuration, target: CONFIGURATION_FOLDER, mode: "ro" },
        { source: volume, target: STATE_FOLDER, mode: "rw" },
      ]);
  }
}

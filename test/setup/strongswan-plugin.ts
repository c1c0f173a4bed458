import { existsSync } from "node:fs";
import { join } from "node:path";

/**
 * strongSwan's `pki --scep` speaks HTTP through its curl plugin, which Debian ships in a package that depends on udev and
 * so upgrades a running systemd. The one file is taken out of it instead and preloaded.
 */
export const PLUGIN = {
  packageName: "libstrongswan-extra-plugins",
  member: "usr/lib/ipsec/plugins/libstrongswan-curl.so",
  installedPath: "/usr/lib/ipsec/plugins/libstrongswan-curl.so",
  cachedPath: join(import.meta.dirname, "../../node_modules/.cache/isthmus/libstrongswan-curl.so"),
} as const;

/** Where the plugin lies, or undefined. */
export function findCurlPlugin(): string | undefined {
  return [PLUGIN.installedPath, PLUGIN.cachedPath].find((path) => existsSync(path));
}

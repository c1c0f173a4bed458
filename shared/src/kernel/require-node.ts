import { ConnectorError } from "../errors.ts";

const NEEDED_MAJOR = 24;

/** @throws ConnectorError `node-version` on a Node that this code was not made for */
export function requireNode(version: string = process.versions.node): void {
  if (Number.parseInt(version, 10) >= NEEDED_MAJOR) return;
  throw new ConnectorError(
    "node-version",
    `this is Node ${version}, ${NEEDED_MAJOR} is needed: run \`npm ci\`, which brings it, and start with npm or node_modules/.bin/node`,
  );
}

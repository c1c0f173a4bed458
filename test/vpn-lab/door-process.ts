import { doorServer } from "./door-server.ts";

/**
 * A door between the namespace that this runs in and a socket file, which every namespace sees: what connects to the one side
 * comes out at the other. `node door-process.ts <where it listens> <where it connects to>`, both as JSON, as `node:net` takes them.
 */
const [, , listen = "{}", to = "{}"] = process.argv;
doorServer(JSON.parse(to)).listen(JSON.parse(listen), () => process.stdout.write("ready\n"));

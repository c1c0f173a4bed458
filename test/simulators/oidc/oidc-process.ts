import { type OidcSimulatorOptions, startOidcSimulator } from "./oidc-simulator.ts";

/** The simulator as a process of its own, for a network namespace: `node oidc-process.ts <options as JSON>`. */
const options = JSON.parse(process.argv[2] ?? "{}") as OidcSimulatorOptions;
const { issuer } = await startOidcSimulator(options);
process.stdout.write(`ready ${issuer}\n`);

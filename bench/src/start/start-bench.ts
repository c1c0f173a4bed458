import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import { figure } from "../figure.ts";
import { makeTlsCertificates } from "../fixtures/tls-certificates.ts";
import { interleave } from "../measure/interleave.ts";
import { controlPlaneOptions } from "../process/control-plane.ts";
import { prepareService, type ServiceOptions, startRun, untilReady } from "../process/service.ts";
import { standaloneConfiguration } from "../process/standalone.ts";
import { gatewayOptions } from "../relay/gateway.ts";
import { prepareCertConnector } from "../scep/cert-connector.ts";

/** Budget: bench/README.md, a service is ready in under 1 s with a warm cache. */
const READY_BUDGET_MS = { atMost: 1_000 };

/** From spawn to ready, for each service, on existing state with a warm compile cache. */
export const startBench: Bench = {
  name: "start",
  summary: "time from spawn to ready of each service with a warm compile cache",
  defaultRuns: 10,
  run,
};

async function run(options: BenchOptions): Promise<BenchOutcome> {
  const services = await setUp(options);
  const cold = new Map<string, number>();
  for (const service of services) {
    options.progress(`${service.name}, first start`);
    cold.set(service.name, await measureStart(service));
    // The cache of a process is complete once it has ended, so only the second start fills and the third finds all.
    await measureStart(service);
  }
  const samples = await interleave(
    options.runs,
    services.map((service) => ({
      name: service.name,
      run: (round: number) => {
        options.progress(`round ${round + 1}, ${service.name}`);
        return measureStart(service);
      },
    })),
  );
  const figures = services.flatMap(({ name }) => {
    const warm = samples.get(name) ?? [];
    return [
      figure(`${name}: ready`, "ms", warm, READY_BUDGET_MS),
      figure(`${name}: slowest`, "ms", Math.max(...warm), READY_BUDGET_MS),
      figure(`${name}: first start, nothing cached`, "ms", cold.get(name) ?? Number.NaN),
    ];
  });
  return { figures, notes: [] };
}

/** Each service in a folder of its own, ready to be started. */
async function setUp(options: BenchOptions): Promise<ServiceOptions[]> {
  const folderOf = (name: string) => {
    const folder = join(options.folder, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  };
  const certificates = await makeTlsCertificates(options.folder);
  const bridge = folderOf("comgmt-bridge");
  return [
    controlPlaneOptions(folderOf("control-plane"), await freePort()),
    await prepareCertConnector(folderOf("cert-connector"), "rsa-2048"),
    gatewayOptions(folderOf("tunnel-gateway"), certificates),
    {
      name: "comgmt-bridge",
      folder: bridge,
      configuration: standaloneConfiguration(bridge, {
        desired: {},
        guardrails: { commands: { allow: ["health.report"] } },
      }),
    },
  ];
}

/** Milliseconds from spawn until `/ready` says so; the service is stopped afterwards. */
async function measureStart(service: ServiceOptions): Promise<number> {
  const files = prepareService(service);
  const started = performance.now();
  await using process = startRun(service, files, {
    NODE_COMPILE_CACHE: join(service.folder, "compile-cache"),
  });
  await untilReady(process, files.stateFolder);
  return performance.now() - started;
}

import { runService } from "@isthmus/shared/kernel/command-line";
import { definition } from "./main/definition.ts";
import { setEngineFlags } from "./main/engine-flags.ts";

setEngineFlags();
process.exitCode = await runService(definition, process.argv);

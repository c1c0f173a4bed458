import { runService } from "@isthmus/shared/kernel/command-line";
import { definition } from "./main/definition.ts";
import { collectYoungGenerationAlone } from "./main/young-generation.ts";

collectYoungGenerationAlone();
process.exitCode = await runService(definition, process.argv);

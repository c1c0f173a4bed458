import { runService } from "@isthmus/shared/kernel/command-line";
import { definition } from "./main/definition.ts";
import { keepYoungGenerationSmall } from "./main/young-generation.ts";

keepYoungGenerationSmall();
process.exitCode = await runService(definition, process.argv);

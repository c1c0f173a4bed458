import { runService } from "@isthmus/shared/kernel/command-line";
import { definition } from "./main/definition.ts";

process.exitCode = await runService(definition, process.argv);

import { runService } from "@isthmus/shared/kernel/command-line";
import { bridge } from "./main/definition.ts";

process.exitCode = await runService(bridge, process.argv);

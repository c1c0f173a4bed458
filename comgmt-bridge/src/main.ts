import { setFlagsFromString } from "node:v8";
import { runService } from "@isthmus/shared/kernel/command-line";
import { bridge } from "./main/definition.ts";

// What is read of a site is garbage a moment later. Left alone V8 lets the heap grow to several times what is alive before it is swept.
setFlagsFromString("--heap-growing-percent=50");

process.exitCode = await runService(bridge, process.argv);

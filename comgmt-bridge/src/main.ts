import { setFlagsFromString } from "node:v8";
import { runService } from "@isthmus/shared/kernel/command-line";
import { bridge } from "./main/definition.ts";

// What is read of a site is garbage a moment later. Left alone V8 lets the heap grow to several times what is alive before it is swept; swept
// at 100 a first reading took 4 % more cycles, and at 200 a million devices stay below 512 MiB.
setFlagsFromString("--heap-growing-percent=200");
// In MiB: less than it would grow to, for memory.
setFlagsFromString("--scavenger-max-new-space-capacity-mb=8");

process.exitCode = await runService(bridge, process.argv);

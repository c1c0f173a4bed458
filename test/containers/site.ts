/** Runs inside a container: the internal web site, on the port in the first argument. */
import { startInternalSite } from "@isthmus/suite/process/internal-site";

await startInternalSite(Number(process.argv[2]), "0.0.0.0");
process.stdout.write("the site is open\n");

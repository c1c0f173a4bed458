import { createServer } from "node:http";
import { ConnectorError } from "../errors.ts";
import { listen } from "./health-listener.ts";
import { type RunFile, readRunFile } from "./run-file.ts";
import type { CheckResult, HealthCheck } from "./service-definition.ts";
import { stateFolderAt } from "./state-folder.ts";

/** A service's listener and its state folder, as its local configuration has them. */
export interface ListeningService {
  readonly stateFolder: string;
  readonly listen: { readonly address: string; readonly port: number };
}

/** For `check`: whether the service could listen, or does so already. */
export function portCheck(local: ListeningService): HealthCheck {
  return { name: "port", run: () => portResult(local) };
}

async function portResult({ stateFolder, listen: at }: ListeningService): Promise<CheckResult> {
  const server = createServer();
  try {
    await listen(server, at);
    const reason = at.port === 0 ? "the system chooses a free port" : `port ${at.port} is free`;
    return { status: "healthy", reason };
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error;
    const running = readRunFile(stateFolderAt(stateFolder).runFile);
    if (running !== undefined && isAlive(running.pid) && hasListenerOn(running, at.port)) {
      const reason = `the running service (pid ${running.pid}) holds port ${at.port}`;
      return { status: "healthy", reason };
    }
    const remedy = "free the port or set listen.port";
    return { status: "unhealthy", reason: error.message, remedy };
  } finally {
    server.close();
  }
}

/** `run.json` stays where a process was killed. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The addresses as text: a URL forgets the port that is its scheme's own. */
function hasListenerOn(running: RunFile, port: number): boolean {
  return Object.values(running).some(
    (value) => typeof value === "string" && value.endsWith(`:${port}`),
  );
}

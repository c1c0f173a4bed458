import type { Clock } from "@isthmus/shared/clock";
import type { HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { Random } from "@isthmus/shared/random";
import type { AgentSource } from "../agents/agent-source.ts";
import type { LocalConfiguration } from "../config/bridge-configuration.ts";
import type { DirectorySource } from "../directory/directory-source.ts";
import { agentChecks, agentHealth, agentSource } from "./agent-documents.ts";
import { directoryChecks, directoryHealth, directorySource } from "./directory-sources.ts";
import type { WantedSource } from "./wanted-source.ts";

type Named = Partial<Pick<LocalConfiguration, "directories" | "agents">>;

export interface LocalSources {
  readonly wanted: readonly WantedSource[];
  readonly health: readonly HealthCheck[];
}

/** Sources that this host alone decides on: domains and a folder of documents. They are read as long as the local file names them. */
export function localSources(
  { directories = [], agents }: Named,
  parts: { readonly clock: Clock; readonly random: Random },
): LocalSources {
  const domains = directories.map((configuration) => {
    let source: DirectorySource | undefined;
    const { name } = configuration;
    const wanted: WantedSource = {
      ...{ name, make: JSON.stringify(configuration) },
      start: (observer) => {
        const onFault = (code: string, message: string) => observer.fault(code, message);
        source = directorySource(configuration, { ...parts, onFault });
        return source;
      },
    };
    return { wanted, health: directoryHealth(name, () => source) };
  });
  const all = agents === undefined ? domains : [...domains, ofAgents(agents, parts)];
  return {
    wanted: all.map(({ wanted }) => wanted),
    health: all.map(({ health }) => health),
  };
}

function ofAgents(
  configuration: NonNullable<Named["agents"]>,
  { clock }: { readonly clock: Clock },
) {
  let source: AgentSource | undefined;
  const wanted: WantedSource = {
    ...{ name: configuration.name, make: JSON.stringify(configuration) },
    start: (observer) => {
      const onFault = (code: string, message: string) => observer.fault(code, message);
      source = agentSource(configuration, { clock, onFault });
      return source;
    },
  };
  return { wanted, health: agentHealth(() => source) };
}

/** For `check`, without the service. */
export function localSourceChecks({ directories = [], agents }: Named): HealthCheck[] {
  return [...directoryChecks(directories), ...(agents === undefined ? [] : [agentChecks(agents)])];
}

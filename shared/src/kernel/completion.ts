import type { CliCommand, CliOption, CommandLine } from "./command.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What can follow one chain of subcommand words. */
interface Place {
  /** `audit verify`; empty for the program itself. */
  readonly words: string;
  readonly commands: readonly CliCommand[];
  readonly options: Readonly<Record<string, CliOption>>;
}

/** A script that completes subcommands, options and their closed sets of values; to be sourced by the shell. */
export function completionScript(
  line: CommandLine,
  shell: Shell,
  globalOptions: readonly string[],
): string {
  const places = placesOf({ ...line }, "");
  switch (shell) {
    case "bash":
      return bashScript(line.name, places, globalOptions);
    case "zsh":
      return `#compdef ${line.name}\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(line.name, places, globalOptions)}`;
    case "fish":
      return fishScript(line.name, places, globalOptions);
  }
}

function placesOf(
  command: CliCommand | Pick<CommandLine, "name" | "commands">,
  words: string,
): Place[] {
  if (!("commands" in command)) return [{ words, commands: [], options: command.options ?? {} }];
  const below = command.commands.flatMap((child) =>
    placesOf(child, words === "" ? child.name : `${words} ${child.name}`),
  );
  return [{ words, commands: command.commands, options: {} }, ...below];
}

/** Works in bash, and in zsh through bashcompinit. */
function bashScript(name: string, places: readonly Place[], globals: readonly string[]): string {
  const fn = `_${name.replaceAll("-", "_")}`;
  const cases = places.map(({ words, commands, options }) => {
    const candidates = [
      ...commands.map((command) => command.name),
      ...(words === "" ? ["completion"] : []),
      ...[...Object.keys(options), ...globals].map((option) => `--${option}`),
    ];
    return `    "${words}") candidates="${candidates.join(" ")}" ;;`;
  });
  const values = places.flatMap(({ words, options }) =>
    Object.entries(options)
      .filter(([, { values: closed }]) => closed !== undefined)
      .map(
        ([option, { values: closed = [] }]) =>
          `    "${words}|--${option}") COMPREPLY=($(compgen -W "${closed.join(" ")}" -- "$current")); return ;;`,
      ),
  );
  const paths = places.map(({ words }) => `"${words}"`).join(" | ");
  return `${fn}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local words="" longer candidates="" at
  for ((at = 1; at < COMP_CWORD; at++)); do
    longer="\${words:+$words }\${COMP_WORDS[at]}"
    case "$longer" in
      ${paths}) words="$longer" ;;
    esac
  done
  case "$words|$previous" in
${[...values, "    *) ;;"].join("\n")}
  esac
  case "$words" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F ${fn} ${name}
`;
}

function fishScript(name: string, places: readonly Place[], globals: readonly string[]): string {
  const lines = places.flatMap(({ words, commands, options }) => {
    const condition =
      words === ""
        ? "__fish_use_subcommand"
        : words
            .split(" ")
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join("; and ");
    const start = `complete -c ${name} -n ${quoted(condition)}`;
    return [
      ...commands.map((child) => `${start} -f -a ${child.name} -d ${quoted(child.summary)}`),
      ...Object.entries(options).map(([option, { type, summary, values }]) => {
        const takes = type === "boolean" ? "" : " -r";
        const closed = values === undefined ? "" : ` -f -a ${quoted(values.join(" "))}`;
        return `${start} -l ${option}${takes}${closed} -d ${quoted(summary)}`;
      }),
    ];
  });
  const everywhere = globals.map((option) => `complete -c ${name} -l ${option}`);
  return `${[...lines, ...everywhere].join("\n")}\n`;
}

/** Single quotes for fish: a backslash and a quote are escaped by a backslash. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findTool, TOOLS } from "../tools.ts";

/** Debian has step-ca as a Go library only; this is all that is missing for the program. */
const PROGRAM = `package main

import (
	"fmt"
	"os"

	"github.com/smallstep/certificates/commands"
	"github.com/urfave/cli"
)

func main() {
	program := cli.NewApp()
	program.Name, program.Flags, program.Action = "step-ca", commands.AppCommand.Flags, commands.AppCommand.Action
	if fault := program.Run(os.Args); fault != nil {
		fmt.Fprintln(os.Stderr, fault)
		os.Exit(1)
	}
}
`;

const LIBRARY = "/usr/share/gocode/src/github.com/smallstep/certificates";
const CACHED = join(import.meta.dirname, "../../node_modules/.cache/isthmus/step-ca");
const NEEDED = `the Debian packages ${TOOLS.go.packages.join(" and ")}: as root \`npm run test:setup\` installs them`;
const BUILD_TIMEOUT_MS = 900_000;

/** Where the program lies, or undefined. */
export function findStepCa(): string | undefined {
  return existsSync(CACHED) ? CACHED : undefined;
}

/** Builds it from Debian's packages, once, in about two minutes. Returns what went wrong, or undefined. */
export function buildStepCa(say: (line: string) => void): string | undefined {
  const go = findTool("go");
  if (findStepCa() !== undefined) return undefined;
  if (go === undefined || !existsSync(LIBRARY)) return `step-ca needs ${NEEDED}`;
  say("building step-ca from Debian's Go packages (about two minutes, once)");
  const folder = mkdtempSync(join(tmpdir(), "isthmus-step-ca-"));
  try {
    const source = join(folder, "main.go");
    writeFileSync(source, PROGRAM);
    mkdirSync(dirname(CACHED), { recursive: true });
    const environment = {
      GO111MODULE: "off",
      GOPATH: "/usr/share/gocode",
      GOCACHE: join(folder, "cache"),
      GOFLAGS: "",
    };
    const built = spawnSync(go, ["build", "-o", CACHED, source], {
      encoding: "utf8",
      timeout: BUILD_TIMEOUT_MS,
      env: { ...process.env, ...environment },
    });
    if (built.status === 0) return undefined;
    const last = (built.stderr ?? "").trim().split("\n").slice(-3).join("\n");
    return `step-ca could not be built: ${built.error?.message ?? last}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

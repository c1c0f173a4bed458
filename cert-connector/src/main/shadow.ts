import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CliCommand } from "@isthmus/shared/kernel/command";
import { makeCounter } from "@isthmus/shared/kernel/counter";
import { everyHour } from "@isthmus/shared/kernel/housekeeping";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { readStateFile, writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { pemToDer } from "@isthmus/shared/x509/pem";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import { SHADOW_OUTCOMES, type ShadowFigures } from "../core/shadow-figures.ts";
import { envelopeOpener } from "../device/envelope-opener.ts";
import type { RegistrationKey } from "../device/registration-authority.ts";
import { capabilitiesOf } from "../device/scep-handler.ts";
import { ShadowMode } from "../device/shadow-mode.ts";
import { ask } from "./ask-service.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

type Settings = NonNullable<LocalConfiguration["shadow"]>;

/** Shadow mode as the local configuration wants it, with what it saw before a restart; undefined where it does not. */
export function shadowMode(
  kernel: CertificateKernel,
  connector: Pick<CertificateConnector, "authorities" | "authorityOf" | "configuration" | "guard">,
  resources: AsyncDisposableStack,
): ShadowMode | undefined {
  const { local, clock, random, log, stateFolder } = kernel;
  const settings = local.shadow;
  if (settings === undefined) return undefined;
  const { authorities, authorityOf, configuration, guard } = connector;
  const ndesKey = ndesKeyOf(settings, local.envelopeThreads);
  if (ndesKey !== undefined) resources.use(ndesKey.opener);
  const counter = makeCounter(kernel.metrics, {
    name: "isthmus_shadow_requests_total",
    help: "Requests that an NDES server answered and we judged, by how the two compare",
    labels: ["operation", "outcome"],
  });
  const file = join(stateFolder, "shadow.json");
  const mode = new ShadowMode({
    ndes: {
      url: settings.ndesUrl,
      ca: settings.caFile === undefined ? undefined : readFileSync(settings.caFile, "utf8"),
      timeoutMs: settings.timeoutMs,
    },
    judge: {
      authorities,
      guard,
      publicUrls: () => configuration.publicUrls,
      random,
      ndesKey,
      clock,
    },
    profile: () => configuration.profileAt("ndes"),
    capabilities: (profile) => capabilitiesOf(profile, authorityOf(profile).nextChain.length > 0),
    figures: figuresIn(file),
    clock,
    onCompared: ({ operation, outcome, transactionId, reason, ndesMs, ownMs }) => {
      counter({ operation, outcome });
      if (outcome.startsWith("agreed")) return;
      log.warn({ operation, outcome, transactionId, reason, ndesMs, ownMs }, "shadow.differs");
    },
    onFault: (error) => {
      if (!(error instanceof ConnectorError)) return log.error({ err: error }, "shadow.failed");
      log.warn({ code: error.code, reason: error.message }, "shadow.ndes-failed");
    },
  });
  const save = () => writeFileAtomically(file, JSON.stringify(mode.figures));
  resources.use(
    everyHour(
      async () => save(),
      (error) => log.error({ err: error }, "shadow.save"),
    ),
  );
  resources.defer(async () => {
    await mode.settled();
    save();
  });
  return mode;
}

function figuresIn(file: string): ShadowFigures | undefined {
  const text = readStateFile(file);
  return text === undefined ? undefined : (JSON.parse(text) as ShadowFigures);
}

/** Throws ConnectorError `shadow-key` where key and certificate do not belong together. */
function ndesKeyOf(
  { raCertificateFile, raKeyFile }: Settings,
  envelopeThreads: number,
): RegistrationKey | undefined {
  if (raCertificateFile === undefined || raKeyFile === undefined) return undefined;
  const [der] = pemToDer(readFileSync(raCertificateFile, "utf8"), "CERTIFICATE");
  const privateKey = createPrivateKey(readFileSync(raKeyFile));
  const certificate = der && parseCertificate(der);
  if (certificate === undefined || !certificate.publicKeyInfo.equals(publicKeyInfoOf(privateKey))) {
    throw new ConnectorError(
      "shadow-key",
      `shadow.raKeyFile ${raKeyFile} is not the key of the certificate in ${raCertificateFile}`,
    );
  }
  const responder = { certificate, privateKey };
  return { responder, opener: envelopeOpener(privateKey, envelopeThreads) };
}

/** What the command line asks of the running service. */
export function shadowControls(mode: ShadowMode | undefined) {
  return {
    "shadow.report": async () => {
      await mode?.settled();
      return { figures: mode?.figures };
    },
  };
}

const report: CliCommand = {
  name: "report",
  summary: "what NDES answered, what this connector would have, and where the two differ",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const answer = await ask(call.required("config"), "shadow.report", {});
    const { figures } = answer as { readonly figures: ShadowFigures | undefined };
    if (figures !== undefined) return { text: reportText(figures), value: figures };
    throw new ConnectorError("not-shadow", 'the local configuration has no "shadow"');
  },
};

export const shadowCommands: CliCommand = {
  name: "shadow",
  summary: "shadow mode beside an NDES server",
  commands: [report],
};

function reportText(figures: ShadowFigures): string {
  const { since, seen, notJudged, ndesFailed, outcomes, reasons, examples } = figures;
  const share = (count: number) => (seen === 0 ? 0 : ((100 * count) / seen).toFixed(1));
  const average = ({ sum, count }: ShadowFigures["ndesMs"]) =>
    count === 0 ? "-" : `${Math.round(sum / count)} ms`;
  const lines = [
    `${seen} requests since ${new Date(since).toISOString()}; ${notJudged} were not judged, NDES failed at ${ndesFailed}`,
    ...SHADOW_OUTCOMES.map((outcome) => {
      const count = outcomes[outcome] ?? 0;
      return `${String(count).padStart(8)}  ${share(count)} %  ${outcome}`;
    }),
    `answered in ${average(figures.ndesMs)} by NDES (at most ${Math.round(figures.ndesMs.max)}), judged in ${average(figures.ownMs)} here`,
  ];
  const byCount = Object.entries(reasons).sort(([, one], [, other]) => other - one);
  if (byCount.length > 0) lines.push("reasons for the differences:");
  for (const [reason, count] of byCount) lines.push(`${String(count).padStart(8)}  ${reason}`);
  if (examples.length > 0) lines.push("the last of them:");
  for (const { at, operation, transactionId, outcome, reason } of examples.slice(-10)) {
    const when = new Date(at).toISOString();
    lines.push(`  ${when}  ${operation}  ${transactionId ?? "-"}  ${outcome}  ${reason}`);
  }
  return lines.join("\n");
}

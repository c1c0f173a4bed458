import { text } from "node:stream/consumers";

/**
 * Draws the VPN's figures beside ocserv's: `npm run -s bench -- vpn --json | node bench/src/vpn/plot.ts > vpn.svg`. Two panels
 * of one kind, CPU per GB and throughput; a row for each transport, direction and number of streams.
 */

interface Report {
  readonly benches: readonly {
    readonly bench: string;
    readonly figures?: readonly { readonly name: string; readonly value: number }[];
  }[];
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  /** What follows a row's name in the name of its figure. */
  readonly figure: string;
}

const ROWS = ["tls", "dtls"].flatMap((transport) =>
  ["up", "down"].flatMap((way) => [1, 4].map((streams) => `${transport} ${way} ${streams}`)),
);
const PANELS: readonly Panel[] = [
  { title: "CPU per GB: less is better", unit: "CPU-s", figure: "CPU" },
  { title: "Throughput: more is better", unit: "Gbit/s", figure: "throughput" },
];
const SIDES = [
  { name: "gateway", colour: "#0f6cbd" },
  { name: "ocserv", colour: "#b8bcc4" },
] as const;

const WIDTH = 900;
const LABEL_WIDTH = 172;
const ROW_HEIGHT = 38;
const BAR_HEIGHT = 13;
const TOP = 74;
const PANEL_WIDTH = (WIDTH - LABEL_WIDTH) / PANELS.length;
const VALUE_WIDTH = 52;
const HEIGHT = TOP + ROWS.length * ROW_HEIGHT + 16;

process.stdout.write(draw(JSON.parse(await text(process.stdin)) as Report));

function draw(report: Report): string {
  const figures = report.benches.find(({ bench }) => bench === "vpn")?.figures ?? [];
  const values = new Map(figures.map(({ name, value }) => [name, value]));
  const panels = PANELS.map((panel, index) =>
    drawPanel(panel, LABEL_WIDTH + index * PANEL_WIDTH, values),
  );
  const labels = ROWS.map((row, index) => {
    const y = TOP + index * ROW_HEIGHT + ROW_HEIGHT / 2;
    return `<text x="${LABEL_WIDTH - 12}" y="${y}" text-anchor="end" class="row">${labelOf(row)}</text>`;
  });
  const legend = SIDES.map(({ name, colour }, index) => {
    const x = LABEL_WIDTH + index * 90;
    return `<rect x="${x}" y="14" width="11" height="11" rx="2" fill="${colour}"/><text x="${x + 17}" y="24">${name}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="CPU per GB and throughput of the gateway and ocserv">
<style>text{font:13px system-ui,sans-serif;fill:#242424;dominant-baseline:middle}.title{font-weight:600}.row,.value{font-variant-numeric:tabular-nums}</style>
<rect width="${WIDTH}" height="${HEIGHT}" rx="6" fill="#ffffff"/>
${[...legend, ...labels, ...panels].join("\n")}
</svg>
`;
}

function drawPanel(panel: Panel, x: number, values: ReadonlyMap<string, number>): string {
  const of = (row: string, side: string) => values.get(`${row}: ${panel.figure}, ${side}`) ?? 0;
  const most = Math.max(...ROWS.flatMap((row) => SIDES.map(({ name }) => of(row, name))), 1e-9);
  const scale = (PANEL_WIDTH - VALUE_WIDTH - 16) / most;
  const title = `<text x="${x}" y="${TOP - 22}" class="title">${panel.title} (${panel.unit})</text>`;
  const bars = ROWS.flatMap((row, index) =>
    SIDES.map(({ name, colour }, side) => {
      const value = of(row, name);
      const y = TOP + index * ROW_HEIGHT + 4 + side * (BAR_HEIGHT + 2);
      const width = (value * scale).toFixed(1);
      const number = `<text x="${(x + value * scale + 6).toFixed(1)}" y="${y + BAR_HEIGHT / 2 + 1}" class="value">${value.toFixed(2)}</text>`;
      return `<rect x="${x}" y="${y}" width="${width}" height="${BAR_HEIGHT}" rx="2" fill="${colour}"/>${number}`;
    }),
  );
  return [title, ...bars].join("\n");
}

function labelOf(row: string): string {
  const [transport = "", way, streams] = row.split(" ");
  return `${transport.toUpperCase()} ${way}, ${streams} ${streams === "1" ? "stream" : "streams"}`;
}

import { createHash } from "node:crypto";

/** The one style sheet, inside the page; the Content-Security-Policy names its hash. */
export const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d8dce2, #3a3f47); --soft: light-dark(#f4f6f8, #1d2126);
  --good: light-dark(#116329, #57d27d); --bad: light-dark(#a40e26, #ff8d91); --warn: light-dark(#7a4d00, #f2c063);
  --link: light-dark(#0b57b0, #8ab8ff); }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: light-dark(#1b1f24, #e6e8eb);
  background: light-dark(#fff, #14171b); }
header, main { max-width: 72rem; margin: 0 auto; padding: 1rem 1.25rem; }
header { display: flex; gap: 1rem; align-items: baseline; justify-content: space-between; flex-wrap: wrap;
  border-bottom: 1px solid var(--line); }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
a { color: var(--link); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: start; padding: .45rem .75rem; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { background: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } .quiet { opacity: .75; }
ul { margin: 0; padding-inline-start: 1.1rem; }
form.sign-in { max-width: 22rem; margin: 3rem auto; display: grid; gap: .75rem; padding: 1.5rem;
  border: 1px solid var(--line); border-radius: .75rem; background: var(--soft); }
label { display: grid; gap: .25rem; font-weight: 600; }
input, button { font: inherit; padding: .5rem .65rem; border: 1px solid var(--line); border-radius: .4rem; }
button { cursor: pointer; font-weight: 600; background: light-dark(#0b57b0, #2b6fd0); color: #fff; border-color: transparent; }
header form { display: inline; } header button { padding: .2rem .6rem; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
`;

export const STYLE_HASH = `'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`;

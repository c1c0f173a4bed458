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
header nav { display: flex; gap: 1rem; flex: 1; } [aria-current] { font-weight: 700; }
.skip { position: absolute; inset-inline-start: -99rem; } .skip:focus { position: static; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
h3 { font-size: .95rem; margin: 1.25rem 0 .4rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .5rem 1.5rem; margin: .75rem 0; }
dt { font-size: .85em; opacity: .8; } dd { margin: 0; overflow-wrap: anywhere; }
time { white-space: nowrap; } tbody th { min-width: 10.5rem; }
form.asked > a { align-self: center; }
form.asked { display: flex; flex-wrap: wrap; gap: .6rem .9rem; align-items: end; padding: .8rem 1rem; margin: .75rem 0;
  border: 1px solid var(--line); border-radius: .5rem; background: var(--soft); }
.tabs, .pages { display: flex; flex-wrap: wrap; gap: .4rem 1.1rem; margin: .75rem 0; }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; list-style: none; padding: 0; margin: .5rem 0; }
.note { border-inline-start: 4px solid var(--line); padding: .3rem .8rem; background: var(--soft); }
a.button { text-decoration: none; display: inline-block; padding: .35rem .65rem; border: 1px solid var(--line); border-radius: .4rem; font-weight: 600; }
pre { margin: .3rem 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .85em ui-monospace, monospace; }
form.sign-in { max-width: 22rem; margin: 3rem auto; display: grid; gap: .75rem; padding: 1.5rem;
  border: 1px solid var(--line); border-radius: .75rem; background: var(--soft); }
label { display: grid; gap: .25rem; font-weight: 600; }
details { font-weight: 400; }
input, select, textarea, button { font: inherit; padding: .5rem .65rem; border: 1px solid var(--line); border-radius: .4rem; }
input:not([type=checkbox]), select { min-height: 2.6rem; }
button { cursor: pointer; font-weight: 600; background: light-dark(#0b57b0, #2b6fd0); color: #fff; border-color: transparent; }
label > input, label > select { font-weight: 400; } textarea { font: .9em/1.4 ui-monospace, monospace; font-weight: 400; }
label.whole { flex: 1 1 100%; } pre.note { padding: .5rem .8rem; }
.until-end:has(~ .ended), .progress:has(~ .stopped), .scroll:has(~ .stopped) .progress { display: none; }
div.progress, .progress td { position: fixed; inset: auto 0 0 0; height: 5.5rem; overflow-y: auto; padding: .6rem 1.25rem;
  background: var(--soft); border-top: 1px solid var(--line); } main { padding-bottom: 6rem; }
label.flag { display: flex; gap: .4rem; align-items: center; font-weight: 400; } label.wide { flex: 1 1 20rem; }
header form { display: inline; } td form { margin: 0; } header button { padding: .2rem .6rem; }
@media (max-width: 45rem) { table { width: max-content; min-width: 100%; } td { max-width: 24rem; }
  table.cards { width: 100%; } .cards thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  .cards tr { display: block; padding: .5rem .75rem; border-bottom: 1px solid var(--line); } .cards tr:last-child { border-bottom: 0; }
  .cards tbody th, .cards td { display: block; max-width: none; padding: .1rem 0; border: 0; overflow-wrap: anywhere; } .cards td:empty { display: none; }
  .cards td[data-column]:not([data-column=""])::before { content: attr(data-column) ": "; font-size: .85em; opacity: .8; } }
input, textarea { max-width: 100%; } select { max-width: min(100%, calc(100vw - 5rem)); }
label { min-width: 0; max-width: 100%; grid-template-columns: minmax(0, auto); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
`;

export const STYLE_HASH = `'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`;

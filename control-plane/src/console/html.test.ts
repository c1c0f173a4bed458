import { expect, test } from "vitest";
import { html } from "./html.ts";

test("values are escaped in content and attributes, templates in templates are not", () => {
  const name = `<script>"&'`;
  const inner = html`<b>${name}</b>`;
  expect(html`<p title="${name}">${inner}${undefined}${[1, "<"]}</p>`.text).toBe(
    `<p title="&lt;script&gt;&quot;&amp;&#39;"><b>&lt;script&gt;&quot;&amp;&#39;</b>1&lt;</p>`,
  );
});
